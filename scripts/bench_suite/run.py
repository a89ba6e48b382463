"""The environment of one measurement: the system, the load generator, the brokers at rest."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench_suite import noise, peers
from bench_suite.gateways import Gateway, gateway
from bench_suite.load import Load, LoadFailed, Verdict, load
from bench_suite.names import GATEWAYS
from bench_suite.proc import cpu_seconds
from bench_suite.result import Row
from bench_suite.system import Door, Lab, Progress
from bench_suite.window import Cost, Stopwatch, groups

#: Seconds that the brokers have to come to rest between two systems.
_REST = 30.0
#: Of a core, all nodes together: at rest.
_IDLE = 0.25
#: Seconds over which it is measured what they take at rest.
_IDLE_LOOK = 2.0
#: What posting is compared with.
OBVIOUS, TORNADO, AIORMQ = "the obvious way", "empty Tornado", "bare aiormq"
#: The least that a relay in this language can cost.
PYTHON = "bare Python"


@dataclass(frozen=True)
class Scale:
    """The scale of a measurement: number of clients and seconds."""

    clients: int
    seconds: float
    many: int
    quick: bool


@dataclass(frozen=True)
class Run:
    """Everything that a scenario uses. ``gateway`` is None for the peers."""

    lab: Lab
    door: Door
    gateway: Gateway | None
    load: Load
    scale: Scale
    row: Row
    brokers: Sequence[int]
    #: What the brokers take of a core while nobody is connected; it is not charged.
    at_rest: float
    progress: Progress

    def stopwatch(self) -> Stopwatch:
        measured = dict(groups(self.door.pids, self.brokers, self.load.pids))
        if self.lab.postgres is not None:
            measured["database"] = self.lab.postgres.pids
        return Stopwatch(measured)

    def charge(self, cost: Cost, count: float, *, suffix: str = "") -> None:
        """Enter the CPU per item into the row."""
        idle = min(self.at_rest * cost.seconds, cost.cpu["rabbitmq"])
        cost = Cost(cost.seconds, {**cost.cpu, "rabbitmq": cost.cpu["rabbitmq"] - idle})
        per = cost.per(count)
        self.row.values[f"cpu_system{suffix}"] = per["system"]
        self.row.values[f"cpu_rabbitmq{suffix}"] = per["rabbitmq"]
        self.row.values[f"cpu_total{suffix}"] = per["system"] + per["rabbitmq"]
        if "database" in per:
            self.row.values[f"cpu_database{suffix}"] = per["database"]
        self.row.values[f"load_share{suffix}"] = 100 * cost.share("load")
        self.row.values[f"publisher_share{suffix}"] = 100 * cost.share("publisher")
        self.row.values[f"system_share{suffix}"] = 100 * cost.share("system")

    def judge(self, verdict: Verdict) -> None:
        self.row.faults += verdict.faults
        self.row.told += verdict.told


@contextmanager
def surroundings(
    lab: Lab,
    scale: Scale,
    row: Row,
    *,
    workers: int,
    further: Mapping[str, Any],
) -> Iterator[Run]:
    """Set up everything for one system in one scenario; at the end nothing of it is left.

    ``further``: see :func:`bench_suite.gateways.gateway`, if it is one.
    """
    brokers = broker_pids(lab)
    # The private queues of earlier rooms would go on taking messages.
    lab.cluster.delete_queues()
    # Those of the clients before have to be gone; a gateway has some of its own.
    within(lambda: not transient_queues(lab))
    system = running(lab, row.system, tls=row.tls, further=further)
    with system as (door, its_gateway), load(workers) as generator:
        within(lambda: at_rest(brokers))
        idle = Stopwatch({"rabbitmq": brokers})
        time.sleep(_IDLE_LOOK)
        share = idle.stop().share("rabbitmq")
        row.values["noise"] = noise.probe()
        try:
            yield Run(lab, door, its_gateway, generator, scale, row, brokers, share, lab.progress)
        finally:
            _leave(generator)


@contextmanager
def running(
    lab: Lab, system: str, *, tls: bool, further: Mapping[str, Any]
) -> Iterator[tuple[Door, Gateway | None]]:
    with lab.store() as store:
        if system in GATEWAYS:
            with gateway(lab, fanout=system, tls=tls, store=store, further=further) as measured:
                yield measured.door, measured
        elif system == TORNADO:
            with peers.empty_tornado(lab) as door:
                yield door, None
        elif system == PYTHON:
            with peers.bare_relay(lab) as door:
                yield door, None
        elif system == OBVIOUS:
            with peers.obvious_way(lab, store) as door:
                yield door, None
        elif system in ("direct", AIORMQ):
            with peers.direct(lab) as door:
                yield door, None
        else:
            with peers.through(peers.PROXIES[system], lab, tls=tls) as door:
                yield door, None


def broker_pids(lab: Lab) -> list[int]:
    return [process.pid for node in lab.cluster.nodes for process in node.daemon.processes()]


def within(done: Callable[[], bool]) -> None:
    """Wait for a condition, but not for ever: without it, the figures will show that."""
    deadline = time.monotonic() + _REST
    while not done() and time.monotonic() < deadline:
        time.sleep(0.1)


def at_rest(brokers: Sequence[int]) -> bool:
    """Whether the brokers are nearly idle, measured for half a second."""
    before = cpu_seconds(brokers)
    time.sleep(0.5)
    return cpu_seconds(brokers) - before < 0.5 * _IDLE


def transient_queues(lab: Lab) -> int:
    """The number of queues of Web-STOMP subscriptions."""
    node = lab.cluster.nodes[0]
    queues: Sequence[Mapping[str, str]] = (
        node.management("GET", "/api/queues?columns=name", lab.cluster.admin) or []
    )
    return sum(queue["name"].startswith("stomp-subscription-") for queue in queues)


def _leave(generator: Load) -> None:
    try:
        generator.close_clients()
    except (LoadFailed, OSError):
        # It has ended, and its clients with it.
        return
