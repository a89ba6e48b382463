"""A stream takes another channel only when nothing of it is unanswered on the one it had."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from broker.nodes.node import Node
from broker.publishing.channels import ChannelEnded
from broker.publishing.links import Links, Place
from broker.publishing.publication import NotConfirmed, Publication, Refused
from broker.publishing.stream import PublishStream
from broker.publishing.suspects import Suspects


class FakeChannel:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.waiting: dict[str, asyncio.Future[None]] = {}

    async def publish(self, publication: Publication) -> None:
        answer = self.waiting[publication.message_id] = asyncio.Future()
        await answer

    def confirm(self) -> None:
        self.waiting.pop(next(iter(self.waiting))).set_result(None)


class FakeLink:
    """A link with one channel, which opens when the test wants it."""

    def __init__(self) -> None:
        self.node = Node("r1", "ws://x/ws", "amqp://x")
        self.lost: str | None = None
        self.channel: FakeChannel | None = FakeChannel()
        self.opened = asyncio.Event()

    def confirm(self) -> None:
        """The oldest publication that waits here."""
        assert self.channel is not None
        self.channel.confirm()

    @property
    def channels(self) -> FakeLink:
        return self

    def at_hand(self, key: str, *, home: bool) -> FakeChannel | None:
        return self.channel

    async def take(self, key: str, *, home: bool) -> FakeChannel:
        await self.opened.wait()
        assert self.channel is not None
        return self.channel

    @contextmanager
    def ends(self, deadline: asyncio.Timeout) -> Iterator[None]:
        yield


class Scene:
    """One stream over the link that is set."""

    def __init__(self) -> None:
        self.link = FakeLink()
        self.away = False
        self.came = asyncio.Event()
        self.problem: str | None = None
        self.suspects = Suspects(cast("Links", self))
        self.stream = PublishStream("key", cast("Links", self), self.suspects)
        self.alone = asyncio.Event()

    async def changed(self) -> None:
        await self.came.wait()

    def place(self, key: str) -> Place | None:
        if self.away:
            return None
        return Place(cast("Any", self.link), home=True, blocked=False)

    async def dial(self, key: str) -> Any:
        """For a message that goes out alone."""
        scene = self

        class Own(FakeLink):
            """A link for a publication that goes alone."""

            async def take(self, key: str, *, home: bool) -> Any:
                return self

            async def publish(self, publication: Publication) -> None:
                await scene.alone.wait()

            async def close(self, reason: str) -> None:
                return

        return Own()

    async def publish(self, id: str) -> asyncio.Task[None]:
        """Under way, as far as it comes by itself."""
        task = asyncio.create_task(self.stream.publish(Publication("key", b"", id), 30))
        for _ in range(5):
            await asyncio.sleep(0)
        return task


def sent(link: FakeLink) -> list[str]:
    """The publications that wait for their confirms there."""
    return [] if link.channel is None else list(link.channel.waiting)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_on_one_channel_publications_are_pipelined() -> None:
    async def scenario() -> None:
        on = Scene()
        tasks = [await on.publish(id) for id in "abc"]
        assert sent(on.link) == ["a", "b", "c"]
        for _ in tasks:
            on.link.confirm()
        await asyncio.gather(*tasks)

    asyncio.run(scenario())


def test_a_stream_moves_when_everything_is_answered_where_it_was() -> None:
    async def scenario() -> None:
        on, old = Scene(), FakeLink()
        on.link = old
        tasks = [await on.publish(id) for id in "ab"]
        on.link = new = FakeLink()
        tasks.append(await on.publish("c"))
        for left in (["b"], []):
            assert sent(new) == []
            old.confirm()
            await turns()
            assert sent(old) == left
        assert sent(new) == ["c"]
        new.confirm()
        await asyncio.gather(*tasks)

    asyncio.run(scenario())


def test_a_suspect_waits_for_the_others_and_they_for_it() -> None:
    async def scenario() -> None:
        on = Scene()
        tasks = [await on.publish("a")]
        suspect = Publication("key", b"", "suspect")
        error = ChannelEnded(None)
        error.refused = True
        on.suspects.note(suspect, error)
        tasks += [await on.publish("suspect"), await on.publish("b")]
        assert sent(on.link) == ["a"]
        assert not on.alone.is_set()
        on.link.confirm()
        await turns()
        assert sent(on.link) == []
        assert not tasks[1].done()
        on.alone.set()
        await turns()
        assert sent(on.link) == ["b"]
        on.link.confirm()
        await asyncio.gather(*tasks)
        assert suspect not in on.suspects

    asyncio.run(scenario())


def test_a_stream_whose_link_is_itself_again_meanwhile_need_not_move() -> None:
    async def scenario() -> None:
        on, old = Scene(), FakeLink()
        on.link = old
        first = await on.publish("a")
        on.link = FakeLink()
        second = await on.publish("b")
        on.link = old
        old.confirm()
        await turns()
        assert sent(old) == ["b"]
        old.confirm()
        await asyncio.gather(first, second)

    asyncio.run(scenario())


def test_a_new_channel_of_the_same_link_is_waited_for_like_another_link() -> None:
    async def scenario() -> None:
        on = Scene()
        worn = on.link.channel
        assert worn is not None
        first = await on.publish("a")
        on.link.channel = None
        second = await on.publish("b")
        on.link.channel = FakeChannel()
        on.link.opened.set()
        await turns()
        assert sent(on.link) == []
        worn.confirm()
        await turns()
        assert sent(on.link) == ["b"]
        on.link.confirm()
        await asyncio.gather(first, second)

    asyncio.run(scenario())


def test_a_message_that_waits_for_a_link_does_not_overtake_one_that_was_sent_and_failed() -> None:
    """The outbox publishes what has failed again before what is new; it would come too late."""

    async def scenario() -> None:
        on, old = Scene(), FakeLink()
        on.link = old
        sent_before = await on.publish("a")
        on.away = True
        waiting = [await on.publish(id) for id in "bc"]
        assert old.channel is not None
        old.channel.waiting.pop("a").set_exception(NotConfirmed("the connection was closed"))
        with pytest.raises(NotConfirmed):
            await sent_before
        again = await on.publish("a")
        on.link, on.away = (new := FakeLink()), False
        on.came.set()
        for task in waiting:
            with pytest.raises(NotConfirmed, match="before it has failed"):
                await asyncio.wait_for(task, 5)
        await turns()
        assert sent(new) == ["a"]
        later = await on.publish("b")
        assert sent(new) == ["a", "b"]
        new.confirm()
        new.confirm()
        await asyncio.gather(again, later)

    asyncio.run(scenario())


def test_a_message_that_rabbitmq_never_takes_fails_nobody_behind_it() -> None:
    """The outbox parks it, and what comes behind goes on."""

    async def scenario() -> None:
        on, old = Scene(), FakeLink()
        on.link = old
        refused = await on.publish("a")
        on.link = new = FakeLink()
        behind = await on.publish("b")
        assert old.channel is not None
        old.channel.waiting.pop("a").set_exception(Refused("AMQP cannot express it"))
        with pytest.raises(Refused):
            await refused
        await turns()
        assert sent(new) == ["b"]
        new.confirm()
        await behind

    asyncio.run(scenario())
