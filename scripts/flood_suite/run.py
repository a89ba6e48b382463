"""One flood after the other, each beside the good room, in turns with calm."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench_suite.gateways import Gateway, gateway
from bench_suite.run import broker_pids
from bench_suite.system import Lab
from devenv.errors import SetupError
from flood_suite import report
from flood_suite.flooder import Flooder
from flood_suite.good_room import HOST, Experience, GoodRoom, members
from flood_suite.judge import Cost, Result, Round, Spread, State, Window, left
from flood_suite.observed import Unseen, metered, state
from flood_suite.priority import put_first
from flood_suite.site import BAD_MEMBERS, FLOODER, PASSWORD, Site, bad_member
from flood_suite.worker import Worker, WorkerFailed, worker

#: What is not the default, and has nothing to do with limits: those are measured as they are.
_SETTINGS = {"log": {"level": "warning"}}
#: Seconds after which everything of a flood must be gone, and between two looks.
_BACK, _LOOK = 30.0, 0.25
#: Seconds of calm before the first window: caches fill, connections come to rest.
_WARM_UP = 2.0


@dataclass(frozen=True)
class Plan:
    """How long and how often. ``rounds`` of a calm and a flooded window of so many ``seconds``."""

    floods: Sequence[str]
    rounds: int
    seconds: float
    #: Processes of a database, which come first as the brokers do.
    database: Sequence[int] = ()


@contextmanager
def site(lab: Lab, *, tls: bool, store: str = "") -> Iterator[tuple[Gateway, Site]]:
    """A gateway with its defaults, a good room and a bad one."""
    with gateway(lab, fanout="shared", tls=tls, store=store, settings=_SETTINGS) as running:
        _add_account(running)
        yield (
            running,
            Site(
                running.port,
                running.secret,
                lab.pair.authority if tls else None,
                running.room([*members(), FLOODER], host=HOST),
                running.room([bad_member(number) for number in range(BAD_MEMBERS)], host=FLOODER),
            ),
        )


def measure(plan: Plan, lab: Lab, running: Gateway, at: Site) -> Iterator[Result]:
    """The result of each flood, as it is known."""
    for name in plan.floods:
        result = Result(name)
        try:
            _measure(plan, [*broker_pids(lab), *plan.database], running, at, result)
        except (WorkerFailed, Unseen) as error:
            result.failure = str(error)
        lab.progress(report.line(result))
        yield result


def _measure(
    plan: Plan, servers: Sequence[int], running: Gateway, at: Site, result: Result
) -> None:
    with (
        worker(GoodRoom, at) as room,
        worker(Flooder, result.name, at) as flooder,
    ):
        flooder.ask("prepare")
        room.ask("join")
        if not put_first([room.pid, *running.door.pids, *servers]):
            flooder.ask("put_last")
        time.sleep(_WARM_UP)
        before = result.before = state(running)
        for _ in range(plan.rounds):
            calm = _seen(room, _window(plan, running))
            flooder.ask("begin")
            window = _window(plan, running)
            # First the end: what waits then arrives, and tells how long it had to.
            tally = flooder.ask("end")
            flooded = _seen(room, window)
            remains, result.after = _comes_back(running, before)
            result.rounds.append(Round(calm, flooded, tally, remains, memory=result.after.memory))
        room.ask("leave")


@dataclass(frozen=True)
class _Stretch:
    """A measured time, in nanoseconds of the monotonic clock, and its cost."""

    began: int
    ended: int
    cost: Cost


def _window(plan: Plan, running: Gateway) -> _Stretch:
    with metered(running.door.pids) as meter:
        began = time.monotonic_ns()
        time.sleep(plan.seconds)
        ended = time.monotonic_ns()
    return _Stretch(began, ended, meter.cost)


def _seen(room: Worker, stretch: _Stretch) -> Window:
    seen: Experience = room.ask("experience", stretch.began, stretch.ended)
    return Window(
        Spread.of(seen.deliveries),
        Spread.of(seen.posts),
        Spread.of(seen.questions),
        Spread.of(seen.entries),
        stretch.cost,
        dict(seen.wrong),
    )


def _comes_back(running: Gateway, before: State) -> tuple[str, State]:
    """What is left of a flood after a while, and the state then."""
    deadline = time.monotonic() + _BACK
    while True:
        after = state(running)
        remains = left(before, after)
        if not remains or time.monotonic() > deadline:
            return remains, after
        time.sleep(_LOOK)


def _add_account(running: Gateway) -> None:
    result = subprocess.run(
        [*running.command, "user", "add", FLOODER, "--password-stdin"],
        input=PASSWORD + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SetupError(f"gateway user add failed:\n{result.stderr}")
