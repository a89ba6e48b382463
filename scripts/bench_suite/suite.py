"""Runs every scenario with every system, one after the other, and collects the results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench_suite import foreign as application
from bench_suite.flood import FloodFailed
from bench_suite.load import LoadFailed
from bench_suite.names import PEERS, SYSTEMS
from bench_suite.result import Figure, Row
from bench_suite.run import AIORMQ, TORNADO, Run, Scale, surroundings
from bench_suite.scenarios import fanout, foreign, idle, outage, post, relay, rooms, storm
from bench_suite.system import Lab
from devenv.errors import SetupError

#: RabbitMQ itself could, but nobody lets browsers connect to it.
_SPEAK_TLS = SYSTEMS[1:]


@dataclass(frozen=True)
class Scenario:
    """A scenario, and the systems that are measured in it.

    ``systems``: those that it makes sense for. ``references`` are measured with each of them, and
    compared with instead of the peers; the first is the one for the ratios. ``auth``: a gateway's
    further ways to log in.
    """

    title: str
    measure: Callable[[Run], None]
    figures: Sequence[Figure]
    systems: Sequence[str] = SYSTEMS
    references: Sequence[str] = ()
    auth: Mapping[str, Any] = field(default_factory=dict)


SCENARIOS = {
    "fanout": Scenario("one publisher, all subscribe one topic", fanout.measure, fanout.FIGURES),
    "foreign": Scenario(
        "another application's topic, RabbitMQ's own users",
        foreign.measure,
        foreign.FIGURES,
        systems=(*PEERS, "shared"),
        auth=application.AUTH,
    ),
    "rooms": Scenario("rooms of 10, everyone speaks", rooms.measure, rooms.FIGURES),
    "storm": Scenario("all connect and subscribe at once", storm.measure, storm.FIGURES),
    "storm-many": Scenario(
        "so do very many", storm.measure_many, storm.FIGURES, systems=("shared",)
    ),
    "storm-relays": Scenario(
        "RabbitMQ's own users come at once, each with a subscription of their own",
        storm.measure_relays,
        storm.RELAY_FIGURES,
        systems=(*PEERS, "shared"),
        auth=application.AUTH,
    ),
    "idle": Scenario(
        "memory of those who only listen",
        idle.measure,
        idle.FIGURES,
        systems=("haproxy", "nginx", "apache", "shared"),
    ),
    "relay": Scenario("private queues, acknowledged", relay.measure, relay.FIGURES),
    "post": Scenario(
        "durable POSTs, 64 at a time",
        post.measure,
        post.FIGURES,
        systems=("shared",),
        references=(TORNADO, AIORMQ),
    ),
    "node-kill": Scenario(
        "a node is killed: the longest time without a message",
        outage.measure_kill,
        outage.FIGURES,
        systems=("shared",),
    ),
    "node-stop": Scenario(
        "a node is stopped in good order",
        outage.measure_stop,
        outage.FIGURES,
        systems=("shared",),
    ),
    "node-hang": Scenario(
        "a node hangs (SIGSTOP)",
        outage.measure_hang,
        outage.FIGURES,
        systems=("shared",),
    ),
}


@dataclass(frozen=True)
class Plan:
    """The scenarios and systems to measure. ``tls``: also with TLS, where a system can."""

    scenarios: Sequence[str]
    systems: Sequence[str]
    tls: bool
    scale: Scale
    workers: int


def measure(plan: Plan, lab: Lab) -> list[Row]:
    """A row for each system in each scenario; a failed one gives the reason, others go on."""
    rows = []
    for name in plan.scenarios:
        scenario = SCENARIOS[name]
        asked = [system for system in plan.systems if system in scenario.systems]
        for system in [*scenario.references, *asked]:
            for tls in (False, True) if plan.tls and system in _SPEAK_TLS else (False,):
                row = Row(name, system, tls)
                lab.progress(f"{name}: {row.name}")
                try:
                    with surroundings(
                        lab, plan.scale, row, workers=plan.workers, auth=scenario.auth
                    ) as run:
                        scenario.measure(run)
                    row.failure = unmeasured(row, scenario.figures)
                except (LoadFailed, FloodFailed, SetupError, RuntimeError, OSError) as error:
                    row.failure = f"{type(error).__name__}: {error}"
                lab.progress(f"{name}: {row.name}: {said(row, scenario.figures)}")
                rows.append(row)
    return rows


def unmeasured(row: Row, figures: Sequence[Figure]) -> str:
    """Why the row says nothing, if it lacks what it should be compared by. Nothing of what should
    be much is no result; of what should be little it may be one: RabbitMQ alone has no proxy."""
    empty = [
        figure.title
        for figure in figures
        if figure.better
        and (
            figure.key not in row.values
            or (figure.better == "more" and row.values[figure.key] <= 0)
        )
    ]
    return f"nothing was measured: {', '.join(empty)}" if empty else ""


def said(row: Row, figures: Sequence[Figure]) -> str:
    """One line for a row."""
    if row.failure:
        return row.failure
    parts = [
        f"{figure.title} {row.values[figure.key]:,.{figure.digits}f}"
        for figure in figures
        if figure.key in row.values
    ]
    if row.faults:
        parts.append(f"{row.faults} FAULTS: {'; '.join(row.told[:3])}")
    return ", ".join(parts)
