"""Every failure of an attempt has a name, and only a real cancellation cancels it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import aiormq
import pytest

from broker.nodes.node import Node
from broker.publishing.channels import AiormqCalls
from broker.publishing.link import LinkFailed
from broker.publishing.links import Links, Place
from broker.publishing.stream import Attempt


class Failed(Exception):
    """The test's own kind of failure."""


class FakeLink:
    """A link whose end and alarm the test decides."""

    def __init__(self) -> None:
        self.node = Node("r1", "ws://x/ws", "amqp://x")
        self.lost: str | None = None
        self.deadlines: set[asyncio.Timeout] = set()
        self.alarm_ended = asyncio.Event()

    @contextmanager
    def ends(self, deadline: asyncio.Timeout) -> Iterator[None]:
        self.deadlines.add(deadline)
        try:
            yield
        finally:
            self.deadlines.discard(deadline)

    def lose(self, reason: str) -> None:
        self.lost = reason
        for deadline in self.deadlines:
            deadline.reschedule(asyncio.get_running_loop().time())

    async def unblocked(self) -> None:
        await self.alarm_ended.wait()


class FakeLinks:
    """The links of a publisher, with one or none that is up.

    ``link`` is the one that stands.
    """

    def __init__(self, link: FakeLink | None) -> None:
        self.link = link
        self.problem: str | None = None
        self.change = asyncio.Event()
        self.blocked = False
        self.home = True

    def place(self, key: str) -> Place | None:
        if self.link is None:
            return None
        return Place(cast("Any", self.link), home=self.home, blocked=self.blocked)

    async def changed(self) -> None:
        await self.change.wait()


def attempt_at(links: FakeLinks, *, seconds: float = 5.0) -> Attempt:
    return Attempt(cast("Links", links), seconds, failure=Failed)


async def break_off(_: Attempt) -> None:
    """As aiormq does, where its calls are not guarded, it would cancel the caller."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    with AiormqCalls():
        await future


async def no_link(_: Attempt) -> None:
    raise LinkFailed("r1", "refused")


async def amqp_error(_: Attempt) -> None:
    raise aiormq.AMQPError("not today")


async def no_text(_: Attempt) -> None:
    raise ConnectionResetError


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (break_off, "the connection was closed"),
        (no_link, "r1: refused"),
        (amqp_error, "not today"),
        (no_text, "ConnectionResetError"),
    ],
)
def test_the_broker_s_ways_to_end_it_have_names(
    fault: Callable[[Attempt], Awaitable[None]], why: str
) -> None:
    async def scenario() -> None:
        with pytest.raises(Failed, match=why):
            async with attempt_at(FakeLinks(FakeLink())) as attempt:
                await fault(attempt)

    asyncio.run(scenario())


def test_the_end_of_its_time_says_what_kept_it() -> None:
    async def scenario() -> None:
        links = FakeLinks(None)
        with pytest.raises(Failed, match="no answer within"):
            async with attempt_at(links, seconds=0.01) as attempt:
                await attempt.find("key")
        links.problem = "not connected: r1: refused"
        with pytest.raises(Failed, match="not connected"):
            async with attempt_at(links, seconds=0.01) as attempt:
                await attempt.find("key")

    asyncio.run(scenario())


def test_a_link_that_comes_in_time_is_found_and_one_that_is_lost_ends_it_at_once() -> None:
    async def scenario() -> None:
        links, link = FakeLinks(None), FakeLink()

        async def use() -> None:
            async with attempt_at(links) as attempt:
                found, home = await attempt.find("key")
                assert home
                assert cast("Any", found) is link
                with found.ends(attempt.deadline):
                    await asyncio.Event().wait()

        using = asyncio.create_task(use())
        await asyncio.sleep(0)
        links.link = link
        links.change.set()
        await asyncio.sleep(0.01)
        link.lose("reset by peer")
        with pytest.raises(Failed, match="r1: reset by peer"):
            await asyncio.wait_for(using, 1)
        assert not link.deadlines

    asyncio.run(scenario())


def test_a_cancelled_attempt_is_cancelled_and_gives_the_link_back() -> None:
    async def scenario() -> None:
        link = FakeLink()

        async def use() -> None:
            async with attempt_at(FakeLinks(link)) as attempt:
                found, _ = await attempt.find("key")
                with found.ends(attempt.deadline):
                    await asyncio.Event().wait()

        using = asyncio.create_task(use())
        await asyncio.sleep(0.01)
        assert link.deadlines
        using.cancel()
        await asyncio.wait({using})
        assert using.cancelled()
        assert not link.deadlines

    asyncio.run(scenario())


def test_a_link_that_an_alarm_blocks_is_waited_for_and_its_loss_ends_that_at_once() -> None:
    async def scenario() -> None:
        links = FakeLinks(FakeLink())
        links.blocked = True
        link = cast("FakeLink", links.link)

        async def use() -> None:
            async with attempt_at(links) as attempt:
                await attempt.find("key")

        using = asyncio.create_task(use())
        await asyncio.sleep(0.01)
        assert not using.done()
        links.blocked = False
        link.alarm_ended.set()
        await asyncio.wait_for(using, 1)

        link.alarm_ended.clear()
        links.blocked = True
        using = asyncio.create_task(use())
        await asyncio.sleep(0.01)
        link.lose("reset by peer")
        with pytest.raises(Failed, match="r1: reset by peer"):
            await asyncio.wait_for(using, 1)
        assert not link.deadlines

    asyncio.run(scenario())


def test_an_error_of_ours_is_not_taken_for_the_broker_s() -> None:
    async def scenario() -> None:
        with pytest.raises(KeyError):
            async with attempt_at(FakeLinks(FakeLink())):
                raise KeyError

    asyncio.run(scenario())


@pytest.mark.parametrize("home", [True, False])
def test_a_link_is_found_with_the_word_whether_the_stream_is_at_home_there(home: bool) -> None:
    async def scenario() -> None:
        links = FakeLinks(FakeLink())
        links.home = home
        async with attempt_at(links) as attempt:
            found: tuple[object, bool] = await attempt.find("key")
        assert found == (links.link, home)

    asyncio.run(scenario())
