"""Judges what a flood did to the good room and left in the gateway. Pure.

The machine is shared, so a single comparison says little: a calm window and one under flood take
turns, and the medians of their p99s are compared.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

#: A p99 may grow by this factor,
MOST_RATIO = 2.0
#: or by so many seconds. An idle gateway's p99 is some milliseconds, and a second process that has
#: the other core for a scheduler's slice (3 ms at nice 19, several of them in a row while RabbitMQ
#: wants it too) would double it. Nobody in a room sees 20 ms.
LEAST_DIFFERENCE = 0.020
#: Descriptors and tasks that may be more when the flood has gone: connections to the database and
#: keep-alive ones.
MOST_LEFT = 15
#: Bytes of memory that may be more when all rounds are over: what the allocator keeps.
MOST_KEPT = 96_000_000
#: Bytes by which memory at rest may be more after each repetition of a flood. The first one fills
#: caches; if every further one adds to them, they are none.
MOST_GROWTH = 4_000_000
#: Rounds from which on growth can be told from chance.
LEAST_ROUNDS = 3


@dataclass(frozen=True)
class Spread:
    """The p50 and p99 of delays, in seconds; of nothing, both are 0."""

    p50: float = 0.0
    p99: float = 0.0
    count: int = 0

    @classmethod
    def of(cls, nanoseconds: Iterable[int]) -> "Spread":
        ordered = sorted(nanoseconds)
        if not ordered:
            return cls()
        last = len(ordered) - 1
        p50, p99 = (ordered[round(share * last)] / 1e9 for share in (0.5, 0.99))
        return cls(p50, p99, len(ordered))


@dataclass(frozen=True)
class Cost:
    """The gateway in a window: its share of one core, the most memory and descriptors."""

    cpu: float
    memory: int
    descriptors: int


@dataclass(frozen=True)
class State:
    """The gateway at rest."""

    memory: int
    descriptors: int
    connections: int
    tasks: int


@dataclass(frozen=True)
class Window:
    """The good room's experience of some seconds, and the gateway's cost."""

    deliveries: Spread
    posts: Spread
    questions: Spread
    entries: Spread
    cost: Cost
    wrong: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Round:
    """A calm window, then one under flood. ``left``: why the gateway was not as before within the
    time for that; empty if it was. ``memory``: its bytes then."""

    calm: Window
    flooded: Window
    tally: Mapping[str, int]
    left: str = ""
    memory: int = 0


@dataclass
class Result:
    """All rounds of one flood. ``failure``: why it could not be measured."""

    name: str
    before: State | None = None
    after: State | None = None
    rounds: list[Round] = field(default_factory=list)
    failure: str = ""

    def medians(self, what: str) -> tuple[Spread, Spread]:
        """The medians of one of the spreads: calm, and under flood."""
        calm, flooded = (
            Spread(
                median(getattr(window, what).p50 for window in windows),
                median(getattr(window, what).p99 for window in windows),
                sum(getattr(window, what).count for window in windows),
            )
            for windows in (
                [each.calm for each in self.rounds],
                [each.flooded for each in self.rounds],
            )
        )
        return calm, flooded

    @property
    def growth(self) -> int | None:
        """The least bytes that a round has added to what the one before had left; None: there are
        too few rounds to tell."""
        if len(self.rounds) < LEAST_ROUNDS:
            return None
        return min(later.memory - one.memory for one, later in pairwise(self.rounds))

    @property
    def tally(self) -> Counter[str]:
        """What came of the flood's attempts, in all rounds."""
        return sum((Counter(each.tally) for each in self.rounds), Counter[str]())


#: Seconds that coming in may take under flood: there are too few who do, to compare their p99s.
MOST_ENTRY = 1.0
#: What of the good room's experience is compared.
JUDGED = {"deliveries": "deliveries", "posts": "posts", "questions": "questions to the host"}


def faults(result: Result, *, timings: bool = True) -> list[str]:
    """Why a flood has done harm; nothing if it has not. ``timings``: by its p99s, too, which only a
    machine that does little else can tell."""
    if result.failure:
        return [f"not measured: {result.failure}"]
    found = [text for each in result.rounds for text in _of_round(each)]
    if timings:
        found += _slower(result)
    return [*dict.fromkeys(found), *_kept(result)]


def _of_round(one: Round) -> list[str]:
    found = [f"{number} × {text}" for text, number in one.flooded.wrong.items()]
    found += [f"{number} × {text} (without the flood)" for text, number in one.calm.wrong.items()]
    if not one.flooded.deliveries.count or not one.flooded.posts.count:
        found.append("nothing was delivered or posted")
    if one.left:
        found.append(one.left)
    return found


def _slower(result: Result) -> list[str]:
    found = []
    for what, title in JUDGED.items():
        calm, flooded = result.medians(what)
        more = flooded.p99 - calm.p99
        if flooded.p99 > MOST_RATIO * calm.p99 and more > LEAST_DIFFERENCE:
            found.append(
                f"p99 of {title} {1000 * calm.p99:.0f} → {1000 * flooded.p99:.0f} ms "
                f"({flooded.p99 / calm.p99 if calm.p99 else 0:.1f} ×)"
            )
    calm, flooded = result.medians("entries")
    if flooded.p50 > MOST_ENTRY:
        found.append(f"p50 of coming in {1000 * calm.p50:.0f} → {1000 * flooded.p50:.0f} ms")
    return found


def _kept(result: Result) -> list[str]:
    before, after = result.before, result.after
    if before is None or after is None:
        return ["the gateway was not seen"]
    found = []
    kept = after.memory - before.memory
    if kept > MOST_KEPT:
        found.append(f"keeps {kept / 1e6:.0f} MB of memory")
    growth = result.growth
    if growth is not None and growth > MOST_GROWTH:
        found.append(f"keeps {growth / 1e6:.0f} MB more with each round")
    return found


def left(before: State, after: State) -> str:
    """What of a flood is still there; empty when nothing is."""
    more = {
        name: getattr(after, name) - getattr(before, name)
        for name in ("descriptors", "connections", "tasks")
    }
    parts = [f"{number} {name}" for name, number in more.items() if number > MOST_LEFT]
    return f"leaves {', '.join(parts)}" if parts else ""


def harmed(results: Sequence[Result], *, timings: bool = True) -> bool:
    """Whether any flood has done harm."""
    return any(faults(result, timings=timings) for result in results)
