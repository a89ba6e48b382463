"""A node's link is watched, and dialled again whatever ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from random import Random
from typing import Any, cast

import pytest

from broker.nodes.node import Node
from broker.nodes.rendezvous import LinkState
from broker.publishing.link import Link, LinkFailed
from broker.publishing.liveness import INTERVAL, STALLED, Activity
from broker.publishing.supervisor import FAREWELL, LASTING, SUSPECTED, Supervisor
from broker.timing.tasks import Tasks
from tests.virtual_time import run

NODE = Node("r1", "ws://x/ws", "amqp://x")


class FakeLink:
    """A link whose state the test sets."""

    def __init__(self) -> None:
        self.blocked = False
        self.unanswered = self.unconfirmed = 0
        self.heard = 0
        self.silent = False
        self.gone: str | None = None
        self.broken: BaseException | None = None
        self.asked = 0
        self.ended_by = ""
        self.closing_fails: BaseException | None = None

    @property
    def state(self) -> LinkState:
        return LinkState.BLOCKED if self.blocked else LinkState.UP

    @property
    def activity(self) -> Activity:
        self.heard += not self.silent
        return Activity(self.heard, 0, self.unconfirmed, self.blocked)

    async def ended(self, *, within: float) -> str | None:
        await asyncio.sleep(within)
        if self.broken:
            raise self.broken
        return self.gone

    def ask(self) -> None:
        self.asked += 1

    async def lose(self, reason: str) -> None:
        self.ended_by = reason
        if self.closing_fails:
            raise self.closing_fails

    async def close(self, reason: str) -> None:
        self.ended_by = reason


class Scene:
    """A supervisor with scripted dials.

    ``dials``: what each dial gives, the last for all that follow.
    """

    def __init__(self, *dials: FakeLink | BaseException) -> None:
        self.dials = list(dials)
        self.dialled_at: list[float] = []
        #: What the supervisor's state was when it told of a change.
        self.changes: list[LinkState] = []
        self.tasks = Tasks()
        self.supervisor = Supervisor(
            NODE,
            dial=self.dial,
            changed=lambda: self.changes.append(self.supervisor.state),
            rng=Random(1),  # noqa: S311 - spreads the dials
            tasks=self.tasks,
        )

    @property
    def dialled(self) -> int:
        return len(self.dialled_at)

    @property
    def standing(self) -> Any:
        return self.supervisor.link

    @property
    def state(self) -> Any:
        return self.supervisor.state

    async def dial(self, node: Node) -> Link:
        assert node is NODE
        self.dialled_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.01)
        given = self.dials.pop(0) if len(self.dials) > 1 else self.dials[0]
        if isinstance(given, BaseException):
            raise given
        return cast("Link", given)


def scene(
    *dials: Callable[[], FakeLink | BaseException],
) -> tuple[list[Any], Callable[[Callable[[Scene], Coroutine[Any, Any, None]]], None]]:
    given = [each() for each in dials]

    def play(scenario: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            made = Scene(*given)
            made.supervisor.start()
            try:
                await scenario(made)
            finally:
                await made.supervisor.close()

        run(whole())

    return given, play


def test_a_link_that_ends_is_replaced() -> None:
    (first, second), play = scene(FakeLink, FakeLink)

    async def scenario(on: Scene) -> None:
        await asyncio.sleep(1)
        assert on.standing is first
        assert on.supervisor.state is LinkState.UP
        first.gone = "the node said goodbye"
        await asyncio.sleep(2)
        assert first.ended_by == "the node said goodbye"
        assert on.standing is second
        assert on.supervisor.problem is None

    play(scenario)
    assert second.ended_by == "the gateway is closing"


def test_a_node_that_takes_no_login_is_dialled_on_and_its_reason_shown() -> None:
    given, play = scene(lambda: LinkFailed("r1", "refused"), lambda: LinkFailed("r1", "refused"))
    del given

    async def scenario(on: Scene) -> None:
        await asyncio.sleep(20)
        assert on.supervisor.problem == "refused"
        assert on.supervisor.state is LinkState.DOWN
        assert 15 < on.dialled < 50

    play(scenario)


@pytest.mark.parametrize("fault", [KeyError("nobody foresaw it"), asyncio.CancelledError()])
def test_a_dial_that_ends_by_what_nobody_foresaw_is_repeated(
    fault: BaseException, failures: list[str]
) -> None:
    (_, link), play = scene(lambda: fault, FakeLink)

    async def scenario(on: Scene) -> None:
        await asyncio.sleep(2)
        assert on.standing is link

    play(scenario)
    assert failures == ["AMQP link to r1 has failed and begins anew"]
    failures.clear()


@pytest.mark.parametrize("fault", [KeyError("nobody foresaw it"), asyncio.CancelledError()])
def test_a_link_that_nobody_watches_any_more_is_given_up_and_replaced(
    fault: BaseException, failures: list[str]
) -> None:
    (first, second), play = scene(FakeLink, FakeLink)

    async def scenario(on: Scene) -> None:
        await asyncio.sleep(1)
        first.broken = fault
        await asyncio.sleep(2)
        assert first.ended_by
        assert on.standing is second

    play(scenario)
    assert failures == ["AMQP link to r1 has failed and begins anew"]
    failures.clear()


@pytest.mark.parametrize("fault", [KeyError("nobody foresaw it"), asyncio.CancelledError()])
def test_a_link_that_cannot_be_taken_down_is_replaced_all_the_same(
    fault: BaseException, failures: list[str]
) -> None:
    (first, second), play = scene(FakeLink, FakeLink)
    first.closing_fails = fault

    async def scenario(on: Scene) -> None:
        await asyncio.sleep(1)
        first.gone = "reset"
        await asyncio.sleep(2)
        assert on.standing is second

    play(scenario)
    assert failures == ["AMQP link to r1 has failed and begins anew"]
    failures.clear()


def test_a_node_that_says_nothing_is_asked_and_then_given_up() -> None:
    (silent, second), play = scene(FakeLink, FakeLink)

    async def scenario(on: Scene) -> None:
        await asyncio.sleep(1)
        silent.silent = True
        await asyncio.sleep(4)
        assert silent.asked
        assert silent.ended_by == "no sign of life for 2 s"
        assert on.standing is second
        states = [on.state]
        await asyncio.sleep(30)
        assert [*states, on.state] == [LinkState.SUSPECT, LinkState.UP]

    play(scenario)


def test_one_that_is_left_has_time_for_what_is_unanswered() -> None:
    (link, _), play = scene(FakeLink, FakeLink)
    link.unanswered = 1

    async def scenario(on: Scene) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(1)
        leaving = asyncio.create_task(on.supervisor.leave())
        await asyncio.sleep(FAREWELL / 2)
        assert not leaving.done()
        link.unanswered = 0
        began = loop.time()
        await leaving
        assert loop.time() - began < 1
        assert link.ended_by == "the gateway is closing"
        assert on.supervisor.problem == "not started"

    play(scenario)


def test_one_that_is_left_waits_no_longer_than_its_bound() -> None:
    (link, _), play = scene(FakeLink, FakeLink)
    link.unanswered = 1

    async def scenario(on: Scene) -> None:
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        await on.supervisor.leave()
        assert asyncio.get_running_loop().time() - began == pytest.approx(FAREWELL, abs=0.2)
        assert link.ended_by

    play(scenario)


def test_one_that_stood_still_and_kept_its_connection_is_a_suspect_once() -> None:
    (silent, second, _), play = scene(FakeLink, FakeLink, FakeLink)

    async def scenario(on: Scene) -> None:
        await asyncio.sleep(1)
        states = [on.state]
        silent.silent = True
        await asyncio.sleep(4)
        assert [*states, on.state] == [LinkState.UP, LinkState.SUSPECT]
        assert on.supervisor.problem == "no sign of life for 2 s"
        await asyncio.sleep(SUSPECTED)
        assert on.state is LinkState.UP
        assert on.supervisor.problem is None
        # It ends in good order: the next link is no suspect.
        second.gone = "the node said goodbye"
        await asyncio.sleep(2)
        assert on.state is LinkState.UP

    play(scenario)


def test_a_node_that_answers_what_is_asked_is_sound_from_its_first_link_on() -> None:
    (stalls, silent, _), play = scene(FakeLink, FakeLink, FakeLink)

    async def scenario(on: Scene) -> None:
        assert on.supervisor.sound_since is None
        await asyncio.sleep(1)
        sound_since = on.supervisor.sound_since or 0.0
        assert sound_since == pytest.approx(0.01)
        # Only publications are not confirmed: the node itself answers.
        stalls.unconfirmed = 1
        await asyncio.sleep(STALLED * INTERVAL + 2)
        assert on.standing is silent
        assert stalls.ended_by == "nothing confirmed for 12 s"
        assert on.supervisor.sound_since == sound_since
        silent.silent = True
        await asyncio.sleep(4)
        assert silent.ended_by == "no sign of life for 2 s"
        assert (on.supervisor.sound_since or 0.0) > sound_since

    play(scenario)


def test_it_tells_whenever_the_link_comes_or_goes_and_nobody_finds_one_that_is_being_lost() -> None:
    found: list[object] = []

    class Losing(FakeLink):
        """A link that notes which links were up when it was lost."""

        async def lose(self, reason: str) -> None:
            await super().lose(reason)
            found.append(made.standing)

    first, second = Losing(), FakeLink()
    made: Scene

    async def scenario() -> None:
        nonlocal made
        made = Scene(first, second)
        assert made.supervisor.problem == "not started"
        made.supervisor.start()
        await asyncio.sleep(1)
        first.gone = "reset"
        await asyncio.sleep(2)
        assert found == [None]
        assert made.standing is second
        await made.supervisor.close()
        assert made.changes == [LinkState.UP, LinkState.DOWN, LinkState.UP, LinkState.DOWN]

    run(scenario())


def test_a_link_that_an_alarm_has_blocked_is_kept_and_says_so() -> None:
    (link,), play = scene(FakeLink)
    link.blocked = True

    async def scenario(on: Scene) -> None:
        await asyncio.sleep(60)
        assert on.standing is link
        assert on.state is LinkState.BLOCKED
        assert on.supervisor.problem == "blocked by an alarm"

    play(scenario)


def test_a_link_of_which_something_is_heard_is_asked_nothing() -> None:
    (link,), play = scene(FakeLink)

    async def scenario(on: Scene) -> None:
        await asyncio.sleep(60)
        assert on.standing is link
        assert link.asked == 0

    play(scenario)


#: Seconds of back-off after so many failures in a row.
BACK_OFF = [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


@pytest.mark.parametrize("fails", [lambda: LinkFailed("r1", "refused"), FakeLink])
def test_a_node_that_takes_no_link_or_ends_it_at_once_is_dialled_ever_more_slowly(
    fails: Callable[[], Any],
) -> None:
    (given,), play = scene(fails)
    lasts = 0.0
    if isinstance(given, FakeLink):
        given.gone, lasts = "the node said goodbye", INTERVAL

    async def scenario(on: Scene) -> None:
        await asyncio.sleep(10)
        waits = [b - a - 0.01 - lasts for a, b in pairwise(on.dialled_at)]
        for wait, longest in zip(waits, BACK_OFF, strict=False):
            assert longest / 2 - 1e-6 <= wait <= longest + 1e-6

    play(scenario)


def test_after_a_link_that_has_lasted_the_next_dial_is_soon() -> None:
    (failure, link, _), play = scene(
        lambda: LinkFailed("r1", "refused"), FakeLink, lambda: LinkFailed("r1", "refused")
    )
    del failure

    async def scenario(on: Scene) -> None:
        await asyncio.sleep(LASTING + 1)
        assert on.standing is link
        link.gone = "reset"
        await asyncio.sleep(2)
        third, fourth, fifth = on.dialled_at[2:5]
        ended = third - BACK_OFF[0]
        assert ended - INTERVAL <= LASTING + 1 <= third
        assert BACK_OFF[1] / 2 <= fourth - third - 0.01 <= BACK_OFF[1]
        assert BACK_OFF[2] / 2 <= fifth - fourth - 0.01 <= BACK_OFF[2]

    play(scenario)


def test_a_node_that_takes_no_login_any_more_is_not_sound() -> None:
    (stalls, _), play = scene(FakeLink, lambda: LinkFailed("r1", "refused"))

    async def scenario(on: Scene) -> None:
        await asyncio.sleep(1)
        stalls.unconfirmed = 1
        await asyncio.sleep(STALLED * INTERVAL + 2)
        assert stalls.ended_by
        assert on.supervisor.sound_since is None

    play(scenario)


def test_a_reason_is_logged_when_it_is_new(caplog: pytest.LogCaptureFixture) -> None:
    _, play = scene(
        *(3 * [lambda: LinkFailed("r1", "refused")]), lambda: LinkFailed("r1", "no route")
    )

    async def scenario(on: Scene) -> None:
        await asyncio.sleep(20)
        assert on.dialled > 5

    play(scenario)
    reasons = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(reasons) == 2
    assert "refused" in reasons[0]
    assert "no route" in reasons[1]
