"""`scripts/chaos`: break one part after the other, and judge what all clients saw."""

import argparse
import json
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop

from devenv import command_lines, packages, rabbitmq
from devenv.cluster import Cluster
from devenv.errors import SetupError
from devenv.postgres import Postgres
from devenv.session_folder import session_folder
from tests.acceptance.gateway_process import GatewayProcess
from tests.chaos import report
from tests.chaos.cables import Cables
from tests.chaos.checker import Rule, Verdict, Violation, judge
from tests.chaos.journal import Journal, read
from tests.chaos.performance import Cast, Performance
from tests.chaos.schedule import Breakable, Fault, schedule
from tests.chaos.stage import Stage
from tests.chaos.wrong_clock import WrongClock

RUN = Path(__file__).parents[2] / ".run"
_NODES = 3
#: Long enough that clients leave one after the other, while the others' messages go on.
_SERVER = "drain_time = 3.0"


def main() -> int:
    """0 when no rule was broken."""
    try:
        return _run(command_lines.chaos().parse_args())
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2


def _run(arguments: argparse.Namespace) -> int:
    breakable = Breakable(_NODES, arguments.gateways)
    faults = schedule(arguments.seed, 60 * arguments.minutes, breakable)
    print(f"seed {arguments.seed}:")
    for number, fault in enumerate(faults):
        print(f"{number:4} {fault}")
    if arguments.dry_run:
        return 0
    rabbitmq.choose(arguments.rabbitmq)
    rabbitmq.ensure(say)
    packages.ensure(["postgresql"], say)
    # An ordinary end for whoever stops us, so that the servers end too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = (arguments.output or RUN / f"chaos-{arguments.seed}-{time.time():.0f}").absolute()
    folder.mkdir(parents=True)
    cast = Cast(arguments.rooms, arguments.subscribers, arguments.rate)
    with ExitStack() as stack:
        servers = stack.enter_context(session_folder(RUN))
        cluster = Cluster(servers / "cluster", _NODES, progress=say)
        postgres = Postgres(servers, progress=say)
        stack.callback(cluster.destroy)
        # Before the cluster's files go.
        stack.callback(keep_logs, cluster, folder)
        stack.callback(postgres.destroy)
        cluster.destroy()
        cluster.start()
        postgres.start()
        verdict = perform(
            faults,
            cast,
            cluster,
            postgres,
            folder,
            seed=arguments.seed,
            gateways=arguments.gateways,
        )
    text = report.text(verdict)
    (folder / "report.txt").write_text(text)
    print(f"{text}\n{folder}")
    return bool(verdict.violations)


def perform(
    faults: tuple[Fault, ...],
    cast: Cast,
    cluster: Cluster,
    postgres: Postgres | None,
    folder: Path,
    *,
    seed: int,
    gateways: int,
) -> Verdict:
    """A run on servers that are up; leaves its files in `folder`.

    Without PostgreSQL the only gateway is as `scripts/run` has it, on SQLite.
    """
    options: dict[str, Any] = (
        {} if postgres is None else {"server": _SERVER, "store": _database(postgres)}
    )
    cables: Cables | None = None
    clocks: list[WrongClock] = []
    with ExitStack() as stack:
        if gateways > 1:
            cables = Cables(cluster)
            stack.enter_context(cables.laid())
            clocks = [WrongClock(folder / f"clock-{number}") for number in range(gateways)]
        processes = []
        for number in range(gateways):
            if clocks:
                options["program"] = clocks[number].program
            if cables is not None and number == gateways - 1:
                options["through"] = cables.through
            process = GatewayProcess(folder, cluster, number=number, presence=True, **options)
            stack.callback(process.kill)
            process.start()
            process.await_ready()
            processes.append(process)
        with (folder / "events.jsonl").open("w", encoding="utf-8") as file:
            journal = Journal(file, say=say)
            stage = Stage(cluster, processes, postgres, journal, cables=cables, clocks=clocks)
            performance = Performance(cast, processes, stage, journal, seed)
            history = uvloop.run(performance.run(faults))
    kept = {f"{stream.audience}.{stream.room}": rows for stream, rows in history.items()}
    (folder / "history.json").write_text(json.dumps(kept))
    verdict = judge(read(folder / "events.jsonl"), history)
    for process in processes:
        try:
            process.assert_log_is_clean()
        except AssertionError as error:
            verdict.violations.append(Violation(Rule.LOGGED, str(error)))
    return verdict


def _database(postgres: Postgres) -> str:
    """The URL of a new database."""
    name = f"chaos_{time.time():.0f}"
    postgres.create_database(name)
    return postgres.url(name).replace("+asyncpg", "")


def keep_logs(cluster: Cluster, folder: Path) -> None:
    for node in cluster.nodes:
        if node.log.exists():
            shutil.copy(node.log, folder / f"r{node.number}.log")


def say(text: str) -> None:
    print(f"· {time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
