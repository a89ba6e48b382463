"""`scripts/floods`: reads the command line, runs the floods, shows and stores the results."""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench_suite.system import Lab, Progress, progress
from devenv import command_lines, packages, rabbitmq, tls
from devenv.cluster import Cluster
from devenv.errors import SetupError
from devenv.interrupts import signals_raise
from devenv.postgres import Postgres
from devenv.session_folder import session_folder
from flood_suite import judge, report
from flood_suite.catalogue import FLOODS
from flood_suite.judge import Result
from flood_suite.run import Plan, measure, site

_RUN = Path(__file__).parents[2] / ".run"


def main() -> int:
    """0: no flood did harm; 1: one did, or could not be measured; 2: nothing could be set up."""
    options = command_lines.floods().parse_args()
    signals_raise()
    say = progress()
    results: list[Result] = []
    try:
        with (
            _lab(options, say) as (lab, store, database),
            site(lab, tls=options.tls, store=store) as (running, at),
        ):
            names = options.only or list(FLOODS)
            plan = Plan(names, options.rounds, options.seconds, database)
            for result in measure(plan, lab, running, at):
                results.append(result)
            told = running.log.read_text(errors="replace")
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        if not results:
            return 130
        told = ""
    options.json.write_text(
        json.dumps(
            report.document(
                results,
                datetime.now(UTC),
                store=options.store,
                tls=options.tls,
                rounds=options.rounds,
                seconds=options.seconds,
            ),
            indent=1,
        )
    )
    print(f"\n{report.table(results)}\nfigures: {options.json}")
    crashes = told.count("Traceback")
    if crashes:
        print(f"the gateway's log has {crashes} tracebacks; the first:")
        print(told[max(0, told.index("Traceback") - 300) :][:2000])
    return int(judge.harmed(results) or bool(crashes))


@contextmanager
def _lab(options: argparse.Namespace, say: Progress) -> Iterator[tuple[Lab, str, list[int]]]:
    """Brokers, and a database's URL and processes; both are empty for SQLite."""
    rabbitmq.choose(options.rabbitmq)
    rabbitmq.ensure(print)
    with ExitStack() as stack:
        folder = stack.enter_context(session_folder(_RUN / "floods"))
        cluster = Cluster(folder / "cluster", options.nodes, progress=say)
        cluster.destroy()
        stack.callback(cluster.destroy)
        cluster.start()
        store, database = "", list[int]()
        if options.store == "postgresql":
            packages.ensure(["postgresql"], print)
            postgres = Postgres(folder, progress=say)
            stack.callback(postgres.destroy)
            postgres.start()
            name = f"floods_{time.time():.0f}"
            postgres.create_database(name)
            database = postgres.pids
            store = postgres.url(name).replace("+asyncpg", "")
        yield Lab(cluster, folder, tls.ensure(folder / "tls"), 0, say), store, database


if __name__ == "__main__":
    sys.exit(main())
