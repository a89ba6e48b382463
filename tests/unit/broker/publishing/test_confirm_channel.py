"""A channel in confirm mode: its frames leave together, and nobody waits for a dead one."""

import asyncio
from typing import cast

import aiormq
import pytest
from aiormq.abc import AbstractChannel, ChannelFrame

from broker.protocol.amqp_answers import Answer, Confirmed
from broker.protocol.amqp_answers import Returned as CameBack
from broker.publishing.channels import ConfirmChannel, LinkLost, Traffic
from broker.publishing.publication import NotConfirmed, Publication, Returned


class StandingConnection:
    """A connection that is open."""

    def __init__(self) -> None:
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class FakeChannel:
    """A channel of aiormq's, which answers nothing by itself."""

    number, max_content_size = 1, 1000
    _close_exception: BaseException | None = None

    def __init__(self) -> None:
        self.write_queue: asyncio.Queue[ChannelFrame] = asyncio.Queue()
        self.closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.connection = StandingConnection()

    @property
    def is_closed(self) -> bool:
        return self.closing.done()


class Short(Publication):
    """Its frames are its id, in brackets."""

    def frames(self, channel: int, *, frame_max: int, mandatory: bool = True) -> bytes:
        return f"<{self.message_id}>".encode()


def confirming(fake: FakeChannel, traffic: Traffic | None = None) -> ConfirmChannel:
    return ConfirmChannel(cast("AbstractChannel", fake), traffic or Traffic())


def confirm(tag: int, *, multiple: bool = False, taken: bool = True) -> Answer:
    return Confirmed(FakeChannel.number, tag, multiple, taken)


def publishing(channel: ConfirmChannel, *ids: str) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(channel.publish(Short("key", b"", id))) for id in ids]


def test_publications_of_one_turn_leave_in_one_write_in_order() -> None:
    async def scenario() -> None:
        fake = FakeChannel()
        channel = confirming(fake)
        tasks = publishing(channel, "a", "b", "c")
        frame = await fake.write_queue.get()
        assert (frame.payload, frame.should_close) == (b"<a><b><c>", False)
        assert fake.write_queue.empty()
        channel.take(confirm(3, multiple=True))
        await asyncio.gather(*tasks)

    asyncio.run(scenario())


def test_nothing_is_lost_or_overtaken_while_aiormq_has_no_room() -> None:
    async def scenario() -> None:
        fake = FakeChannel()
        fake.write_queue = asyncio.Queue(maxsize=1)
        fake.write_queue.put_nowait(ChannelFrame(b"its own", should_close=False))
        channel = confirming(fake)
        tasks = publishing(channel, "a")
        await asyncio.sleep(0.01)
        tasks += publishing(channel, "b")
        await asyncio.sleep(0.01)
        assert (await fake.write_queue.get()).payload == b"its own"
        assert (await fake.write_queue.get()).payload == b"<a><b>"
        channel.take(confirm(2, multiple=True))
        await asyncio.gather(*tasks)

    asyncio.run(scenario())


def test_each_gets_its_own_answer() -> None:
    async def scenario() -> None:
        fake, traffic = FakeChannel(), Traffic()
        channel = confirming(fake, traffic)
        assert traffic.channels == {fake.number: channel}
        taken, refused, back, waits = publishing(channel, "a", "b", "c", "d")
        await fake.write_queue.get()
        channel.take(CameBack(fake.number, "c"))
        channel.take(CameBack(fake.number, "of nobody"))
        channel.take(confirm(3))
        assert not channel.worn_out
        channel.take(confirm(2, taken=False))
        channel.take(confirm(1))
        channel.take(confirm(7))
        await taken
        with pytest.raises(NotConfirmed, match="nack"):
            await refused
        with pytest.raises(Returned, match="no queue for key"):
            await back
        assert channel.worn_out
        assert not waits.done()
        assert traffic == Traffic(unanswered=1, answered=3)
        channel.take(confirm(4, multiple=True))
        await waits

    asyncio.run(scenario())


def test_one_nack_may_refuse_several() -> None:
    async def scenario() -> None:
        fake = FakeChannel()
        channel = confirming(fake)
        tasks = publishing(channel, "a", "b", "c")
        await fake.write_queue.get()
        channel.take(confirm(2, multiple=True, taken=False))
        channel.take(confirm(3))
        for refused in tasks[:2]:
            with pytest.raises(NotConfirmed):
                await refused
        await tasks[2]

    asyncio.run(scenario())


def test_publications_not_sent_when_the_channel_closed_are_not_sent_any_more() -> None:
    async def scenario() -> None:
        fake = FakeChannel()
        (task,) = publishing(confirming(fake), "a")
        fake.closing.set_result(None)
        with pytest.raises(aiormq.ChannelInvalidStateError):
            await task
        await asyncio.sleep(0)
        assert fake.write_queue.empty()

    asyncio.run(scenario())


def test_waiters_fail_at_once_when_the_channel_closes() -> None:
    async def scenario() -> None:
        fake = FakeChannel()
        channel = confirming(fake)
        confirmed, waiting, too_late = (*publishing(channel, "a", "b"), "c")
        await fake.write_queue.get()
        channel.take(confirm(1))
        fake.closing.set_result(None)
        await confirmed
        for attempt in (waiting, *publishing(channel, too_late)):
            with pytest.raises(aiormq.ChannelInvalidStateError):
                await attempt

    asyncio.run(scenario())


def test_a_channel_has_settled_when_nothing_waits_for_its_confirm() -> None:
    async def scenario() -> None:
        fake = FakeChannel()
        channel = confirming(fake)
        await channel.settled(within=60)
        (task,) = publishing(channel, "a")
        await fake.write_queue.get()
        settling = asyncio.create_task(channel.settled(within=60))
        await asyncio.sleep(0)
        assert not settling.done()
        channel.take(confirm(1))
        await asyncio.wait_for(settling, 1)
        await task

    asyncio.run(scenario())


def test_waiting_publications_fail_when_the_link_is_given_up_and_a_late_answer_is_no_error() -> (
    None
):
    async def scenario() -> None:
        fake, traffic = FakeChannel(), Traffic()
        channel = confirming(fake, traffic)
        confirmed, waiting = publishing(channel, "a", "b")
        await fake.write_queue.get()
        assert traffic == Traffic(unanswered=2)
        channel.take(confirm(1))
        await confirmed
        channel.fail(lambda: LinkLost("r1: it hangs"))
        with pytest.raises(LinkLost, match="r1: it hangs"):
            await waiting
        assert traffic == Traffic(unanswered=0, answered=1)
        channel.take(confirm(2))

    asyncio.run(scenario())
