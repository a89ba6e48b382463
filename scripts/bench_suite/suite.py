"""Runs every scenario with every system, one after the other, and collects the results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench_suite import foreign as application
from bench_suite import rounds
from bench_suite.flood import FloodFailed
from bench_suite.load import LoadFailed
from bench_suite.names import PEERS, SYSTEMS
from bench_suite.result import Figure, Row
from bench_suite.run import AIORMQ, OBVIOUS, PYTHON, TORNADO, Run, Scale, surroundings
from bench_suite.scenarios import (
    acknowledged,
    fanout,
    first_frame,
    foreign,
    idle,
    outage,
    post,
    relay,
    rooms,
    storm,
)
from bench_suite.system import Lab
from devenv.errors import SetupError

#: RabbitMQ itself could, but nobody lets browsers connect to it.
_SPEAK_TLS = SYSTEMS[1:]


@dataclass(frozen=True)
class Scenario:
    """A scenario, and the systems that are measured in it.

    ``systems``: those that it makes sense for. ``references`` are measured with each of them, and
    compared with instead of the peers; the first is the one for the ratios. ``floors`` are measured
    as well, and compared with the peers like the gateway. ``further``: what a gateway's
    configuration has besides, by table.
    """

    title: str
    measure: Callable[[Run], None]
    figures: Sequence[Figure]
    systems: Sequence[str] = SYSTEMS
    references: Sequence[str] = ()
    floors: Sequence[str] = ()
    further: Mapping[str, Any] = field(default_factory=dict)


SCENARIOS = {
    "fanout": Scenario("one publisher, all subscribe one topic", fanout.measure, fanout.FIGURES),
    "foreign": Scenario(
        "another application's topic, RabbitMQ's own users",
        foreign.measure,
        foreign.FIGURES,
        systems=(*PEERS, "shared"),
        further=application.TABLES,
    ),
    "acknowledged": Scenario(
        "RabbitMQ's own users, each with a subscription of their own, acknowledge each message",
        acknowledged.measure,
        acknowledged.FIGURES,
        systems=(*PEERS, "shared"),
        floors=(PYTHON,),
        further=application.TABLES,
    ),
    "rooms": Scenario("rooms of 10, everyone speaks", rooms.measure, rooms.FIGURES),
    "rooms-questions": Scenario(
        'the same, with private_queue = "questions"',
        rooms.measure,
        rooms.FIGURES,
        further={"broker": {"private_queue": "questions"}},
    ),
    "storm": Scenario("all connect and subscribe at once", storm.measure, storm.FIGURES),
    "storm-many": Scenario(
        "so do very many", storm.measure_many, storm.FIGURES, systems=("shared",)
    ),
    "storm-relays": Scenario(
        "RabbitMQ's own users come at once, each with a subscription of their own",
        storm.measure_relays,
        storm.RELAY_FIGURES,
        systems=(*PEERS, "shared"),
        floors=(PYTHON,),
        further=application.TABLES,
    ),
    "first-frame": Scenario(
        "the first frame that needs the broker",
        first_frame.measure,
        first_frame.FIGURES,
        systems=(*PEERS, "shared"),
        further={**application.TABLES, **first_frame.TABLES},
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
        references=(OBVIOUS, TORNADO, AIORMQ),
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
    """The scenarios and systems to measure. ``tls``: also with TLS, where a system can.

    ``rounds``: how often, the systems of a scenario in turns.
    """

    scenarios: Sequence[str]
    systems: Sequence[str]
    tls: bool
    scale: Scale
    workers: int
    rounds: int = 1


def measure(plan: Plan, lab: Lab) -> list[Row]:
    """A row for each system in each scenario; a failed one gives the reason, others go on."""
    return [row for name in plan.scenarios for row in _of_scenario(name, plan, lab)]


def _of_scenario(name: str, plan: Plan, lab: Lab) -> list[Row]:
    scenario = SCENARIOS[name]
    asked = [system for system in plan.systems if system in scenario.systems]
    doors = [
        (system, tls)
        for system in [*scenario.references, *scenario.floors, *asked]
        for tls in ((False, True) if plan.tls and system in _SPEAK_TLS else (False,))
    ]
    measured: dict[tuple[str, bool], list[Row]] = {door: [] for door in doors}
    for _ in range(plan.rounds):
        # In turns: what disturbs the machine for a minute disturbs all of them.
        for system, tls in doors:
            measured[system, tls].append(_one(Row(name, system, tls), plan, lab))
    return [rounds.together(rows) for rows in measured.values()]


def _one(row: Row, plan: Plan, lab: Lab) -> Row:
    scenario = SCENARIOS[row.scenario]
    lab.progress(f"{row.scenario}: {row.name}")
    try:
        with surroundings(
            lab, plan.scale, row, workers=plan.workers, further=scenario.further
        ) as run:
            scenario.measure(run)
        row.failure = unmeasured(row, scenario.figures)
    except (LoadFailed, FloodFailed, SetupError, RuntimeError, OSError) as error:
        row.failure = f"{type(error).__name__}: {error}"
    lab.progress(f"{row.scenario}: {row.name}: {said(row, scenario.figures)}")
    if row.failed:
        lab.progress(f"its logs: {lab.keep_logs(f'{row.scenario}-{row.name}')}")
    return row


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
