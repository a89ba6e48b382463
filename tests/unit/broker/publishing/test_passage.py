"""A stream takes another channel only when nothing of it is unanswered on the one it had."""

from __future__ import annotations

import asyncio
from typing import cast

from broker.publishing.attempt import Attempt
from broker.publishing.confirming import Confirming
from broker.publishing.link import Link
from broker.publishing.passage import Passage


class TwinLink:
    def __init__(self) -> None:
        self.channel = cast("Confirming", object())


class TwinAttempt:
    """Finds the link that is set."""

    def __init__(self, link: TwinLink) -> None:
        self.link = link

    async def channel(self, key: str) -> tuple[Link, Confirming]:
        return cast("Link", self.link), self.link.channel


async def enter(passage: Passage, link: TwinLink) -> Confirming:
    _, channel = await passage.enter("key", cast("Attempt", TwinAttempt(link)))
    return channel


def test_on_one_channel_publications_are_pipelined() -> None:
    async def scenario() -> None:
        passage, link = Passage(), TwinLink()
        for _ in range(3):
            assert await enter(passage, link) is link.channel

    asyncio.run(scenario())


def test_what_belongs_elsewhere_waits_until_all_is_answered_where_the_stream_was() -> None:
    async def scenario() -> None:
        passage, old, new = Passage(), TwinLink(), TwinLink()
        for _ in range(2):
            await enter(passage, old)
        moving = asyncio.create_task(enter(passage, new))
        await asyncio.sleep(0)
        passage.leave()
        await asyncio.sleep(0)
        assert not moving.done()
        passage.leave()
        assert await moving is new.channel

    asyncio.run(scenario())


def test_who_goes_alone_waits_for_the_others_and_they_for_them() -> None:
    async def scenario() -> None:
        passage, link = Passage(), TwinLink()
        await enter(passage, link)
        alone = asyncio.create_task(passage.enter_alone())
        await asyncio.sleep(0)
        assert not alone.done()
        passage.leave()
        await alone
        next_one = asyncio.create_task(enter(passage, link))
        await asyncio.sleep(0)
        assert not next_one.done()
        passage.leave()
        assert await next_one is link.channel

    asyncio.run(scenario())


def test_a_stream_whose_link_is_itself_again_meanwhile_need_not_move() -> None:
    async def scenario() -> None:
        passage, old, new = Passage(), TwinLink(), TwinLink()
        await enter(passage, old)
        attempt = TwinAttempt(new)
        moving = asyncio.create_task(passage.enter("key", cast("Attempt", attempt)))
        await asyncio.sleep(0)
        attempt.link = old
        passage.leave()
        _, channel = await moving
        assert channel is old.channel

    asyncio.run(scenario())


def test_a_worn_channel_of_the_same_link_is_cleared_like_another_link() -> None:
    async def scenario() -> None:
        passage, link = Passage(), TwinLink()
        worn = await enter(passage, link)
        link.channel = cast("Confirming", object())
        renewed = asyncio.create_task(enter(passage, link))
        await asyncio.sleep(0)
        assert not renewed.done()
        passage.leave()
        assert await renewed is not worn

    asyncio.run(scenario())
