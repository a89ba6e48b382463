"""The schedule of faults: drawn from a seed, printable, the same for the same seed. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Kind(StrEnum):
    """The faults, as reports name them."""

    KILL_NODE = "kill-node"
    HANG_NODE = "hang-node"
    STOP_NODE = "stop-node"
    ALL_NODES_DOWN = "all-nodes-down"
    KILL_GATEWAY = "kill-gateway"
    DRAIN_GATEWAY = "drain-gateway"
    RESTART_POSTGRES = "restart-postgres"
    FREEZE_POSTGRES = "freeze-postgres"
    BREAK_POOLS = "break-pools"
    CUT_OFF_GATEWAY = "cut-off-gateway"
    CLOCKS_APART = "clocks-apart"
    CUT_CLIENTS = "cut-clients"
    STALL_READERS = "stall-readers"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the schedule.

    `target` is a node's (1 …) or gateway's (0 …) number, or how many clients; `seconds` is how long
    it stays broken, `calm` how long nothing else is broken once it is mended.
    """

    kind: Kind
    target: int
    seconds: float
    calm: float

    def __str__(self) -> str:
        return f"{self.kind} {self.target} for {self.seconds:.0f} s, then {self.calm:.0f} s of calm"


@dataclass(frozen=True, slots=True)
class Breakable:
    """The parts that can be broken."""

    nodes: int
    gateways: int


#: Kind -> (weight, shortest and longest time broken, time that mending is expected to take).
_ODDS: dict[Kind, tuple[int, tuple[float, float], float]] = {
    Kind.KILL_NODE: (5, (2, 20), 20),
    Kind.HANG_NODE: (4, (5, 90), 10),
    Kind.STOP_NODE: (3, (2, 20), 30),
    Kind.ALL_NODES_DOWN: (1, (30, 30), 40),
    Kind.KILL_GATEWAY: (4, (1, 15), 4),
    Kind.DRAIN_GATEWAY: (2, (1, 10), 4),
    Kind.RESTART_POSTGRES: (2, (0, 0), 3),
    # Shorter and longer than a call to the database may take, and than a lease.
    Kind.FREEZE_POSTGRES: (2, (2, 30), 10),
    Kind.BREAK_POOLS: (2, (0, 0), 1),
    # Longer than a gateway takes to know of it.
    Kind.CUT_OFF_GATEWAY: (2, (25, 40), 5),
    Kind.CLOCKS_APART: (2, (15, 30), 2),
    Kind.CUT_CLIENTS: (3, (0, 0), 1),
    Kind.STALL_READERS: (2, (10, 40), 1),
}
#: Seconds by which a clock is put forward: more than the age that gateways believe of each other's
#: messages, less than a passcode lives.
AHEAD = 45.0
#: A gateway alone has nobody that goes on in its place.
_AMONG_GATEWAYS = frozenset({Kind.CUT_OFF_GATEWAY, Kind.CLOCKS_APART})
_CALM = (5.0, 15.0)
#: Seconds for which :func:`kills` keeps a node down.
_DOWN = 10.0


def schedule(seed: int, seconds: float, breakable: Breakable) -> tuple[Fault, ...]:
    """Faults one after another, expected to fill `seconds`. Every kind comes once, as far as there
    is time for it, before any comes twice."""
    rng = Random(seed)  # noqa: S311 - it is to be repeatable
    faults: list[Fault] = []
    spent = 0.0
    for kind in _kinds(rng, breakable):
        _, broken, mending = _ODDS[kind]
        fault = Fault(
            kind, _target(kind, rng, breakable), rng.uniform(*broken), rng.uniform(*_CALM)
        )
        spent += fault.seconds + mending + fault.calm
        if spent > seconds and faults:
            return tuple(faults)
        faults.append(fault)
    raise AssertionError("kinds never end")


def kills(seconds: float, every: float) -> tuple[Fault, ...]:
    """The only node of a cluster, killed every so many seconds and started again."""
    mending = _ODDS[Kind.KILL_NODE][2]
    calm = max(0.0, every - _DOWN - mending)
    fault = Fault(Kind.ALL_NODES_DOWN, 1, _DOWN, calm)
    return (fault,) * max(1, round(seconds / every) - 1)


def _kinds(rng: Random, breakable: Breakable) -> Iterator[Kind]:
    kinds = [kind for kind in Kind if breakable.gateways > 1 or kind not in _AMONG_GATEWAYS]
    first = list(kinds)
    rng.shuffle(first)
    yield from first
    weights = [_ODDS[kind][0] for kind in kinds]
    while True:
        yield from rng.choices(kinds, weights)


def _target(kind: Kind, rng: Random, breakable: Breakable) -> int:
    match kind:
        case Kind.KILL_NODE | Kind.HANG_NODE | Kind.STOP_NODE:
            return rng.randint(1, breakable.nodes)
        case Kind.CUT_OFF_GATEWAY:
            # Only this one's broker is at the end of cables.
            return breakable.gateways - 1
        case Kind.KILL_GATEWAY | Kind.DRAIN_GATEWAY | Kind.CLOCKS_APART:
            return rng.randrange(breakable.gateways)
        case Kind.CUT_CLIENTS | Kind.STALL_READERS:
            return rng.randint(1, 10)
        case Kind.ALL_NODES_DOWN:
            return breakable.nodes
        case Kind.RESTART_POSTGRES | Kind.FREEZE_POSTGRES | Kind.BREAK_POOLS:
            return 1
