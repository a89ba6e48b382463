"""`scripts/bench`: reads the command line, runs the suite, shows and stores the results."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from bench_suite import markdown, native, report, rounds
from bench_suite.names import GATEWAYS, SIZES, SYSTEMS, USUAL
from bench_suite.peers import PROXIES
from bench_suite.result import Row
from bench_suite.run import Scale
from bench_suite.sizes import suite as sizes
from bench_suite.sizes.series import Series, table
from bench_suite.suite import SCENARIOS, Plan, measure
from bench_suite.system import Lab, Progress, progress
from devenv import command_lines, packages, rabbitmq, tls
from devenv.cluster import Cluster
from devenv.errors import SetupError
from devenv.interrupts import signals_raise
from devenv.postgres import Postgres
from devenv.session_folder import session_folder

_RUN = Path(__file__).parents[2] / ".run"
_QUICK = Scale(clients=20, seconds=2.0, many=100, quick=True)


def main() -> int:
    """0: everything measured and nothing lost; 1: a gateway lost, repeated or mixed up something,
    or could not be measured; 2: nothing could be set up."""
    options = command_lines.bench().parse_args()
    if options.markdown:
        print(markdown.comparison(json.loads(options.markdown.read_text())))
        return 0
    if options.sizes is not None:
        return _sizes(options)
    if options.plot and find_spec("matplotlib") is None:
        print("--plot needs matplotlib: .venv/bin/pip install -e '.[bench]'", file=sys.stderr)
        return 2
    signals_raise()
    try:
        plan = _plan(options)
        with session_folder(_RUN / "bench") as folder, _lab(options, plan, folder) as lab:
            rows = measure(plan, lab)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    print(report.tables(rows))
    document = report.document(rows, plan, datetime.now(UTC))
    options.json.write_text(json.dumps(document, indent=1))
    print(f"figures: {options.json}")
    if options.compare:
        _compare(rows, options.compare)
    if options.plot:
        # Only for who wants a picture: it is in the extra "bench".
        from bench_suite.plot import draw  # noqa: PLC0415

        draw(rows, options.plot)
        print(f"picture: {options.plot}")
    return int(any(row.failed for row in rows if row.system in GATEWAYS))


def _sizes(options: argparse.Namespace) -> int:
    names = options.sizes or SIZES
    signals_raise()
    try:
        plan = _plan(options)
        with session_folder(_RUN / "bench") as folder:
            found: list[Series] = []
            for series in sizes.run(
                names,
                scale=plan.scale,
                workers=plan.workers,
                folder=folder,
                say=progress(),
                lab=lambda: _lab(options, plan, folder),
            ):
                found.append(series)
                # What comes next may take half an hour, and be stopped.
                sizes.write(found, options.json, options.plot)
                print(f"\n{table(series)}\n", flush=True)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    if "storms" in names:
        print(sizes.storms())
    print(f"figures: {options.json}")
    return int(any(series.failures for series in found))


def _compare(rows: Sequence[Row], file: Path) -> None:
    figures = {name: scenario.figures for name, scenario in SCENARIOS.items()}
    lines = list(rounds.worse(rows, rounds.read(json.loads(file.read_text())), figures))
    print(f"worse than in {file}:" if lines else f"nothing is worse than in {file}")
    for line in lines:
        print(f"  {line}")


def _plan(options: argparse.Namespace) -> Plan:
    scenarios = options.scenario or list(USUAL)
    if options.store != "sqlite" and "fanout" in scenarios:
        raise SetupError("fanout has its messages ready in SQLite: name others by --scenario")
    wanted = options.systems or list(SYSTEMS)
    needed = [PROXIES[name].package for name in wanted if name in PROXIES]
    rabbitmq.choose(options.rabbitmq)
    rabbitmq.ensure(print)
    packages.ensure(needed if options.install_peers else [], print)
    missing = packages.missing(needed)
    systems = [
        name for name in wanted if name not in PROXIES or PROXIES[name].package not in missing
    ]
    if missing:
        print(f"not installed, so left out: {', '.join(missing)} (see --install-peers)")
    base = _QUICK if options.quick else Scale(clients=500, seconds=8.0, many=5000, quick=False)
    return Plan(
        scenarios=scenarios,
        systems=systems,
        tls=options.tls,
        scale=Scale(
            clients=options.clients or base.clients,
            seconds=options.seconds or base.seconds,
            many=options.many or base.many,
            quick=options.quick,
        ),
        workers=options.load,
        rounds=options.rounds,
    )


@contextmanager
def _lab(options: argparse.Namespace, plan: Plan, folder: Path) -> Iterator[Lab]:
    say = progress()
    cluster = Cluster(options.cluster or folder / "cluster", options.nodes, progress=say)
    if not options.cluster:
        cluster.destroy()
    try:
        cluster.start()
        if options.disk:
            # The brokers have started.
            native.slow_disk(folder, options.disk)
        capacity = max(plan.scale.clients, plan.scale.many)
        with _postgres(options, folder, say) as postgres:
            yield Lab(cluster, folder, tls.ensure(folder / "tls"), capacity, say, postgres)
    finally:
        if not options.cluster:
            cluster.destroy()


@contextmanager
def _postgres(
    options: argparse.Namespace, folder: Path, say: Progress
) -> Iterator[Postgres | None]:
    if options.store == "sqlite":
        yield None
        return
    packages.ensure(["postgresql"], print)
    postgres = Postgres(folder, progress=say, durable=True)
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.destroy()


if __name__ == "__main__":
    sys.exit(main())
