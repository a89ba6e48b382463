"""A path that moves on purpose, between scripted nodes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import SystemRandom

import pytest
from tornado.iostream import IOStream

from broker.stomp import Frame, serialise
from broker.tasks import Tasks
from broker.ticker import Ticker
from gateway.domain.identity import Identity
from gateway.errors import GatewayError
from gateway.events import Events
from gateway.live.destinations import RoomQueue
from gateway.live.path import Path, Ways
from gateway.live.rebalance import Rebalancer
from gateway.live.relay import RelayLimits
from gateway.live.wire import Wire
from tests.integration.live.fake_node import FakeNode, serving
from tests.integration.live.test_dialler import WHO, connections, dialler

_TIMEOUT = 10.0


class Queues:
    async def ensure_private_queue(self, room: int) -> None:
        """It is there."""


class Stage:
    """A client's path, on the first of two nodes."""

    def __init__(self, first: FakeNode, second: FakeNode) -> None:
        self.first, self.second = first, second
        self.dialler = dialler(first, second)
        self.ended: GatewayError | None = None
        ours, self.client = socket.socketpair()
        ours.setblocking(False)
        self.client.setblocking(False)
        self.wire = Wire(IOStream(ours), stall_timeout=1)
        rng = SystemRandom()
        self.path = Path(
            Ways(
                dialler=self.dialler,
                queues=Queues(),
                rebalancer=Rebalancer(
                    self.dialler.balancer, clock=lambda: 0.0, rng=rng, tasks=Tasks()
                ),
                ticker=Ticker(),
                limits=RelayLimits(100_000, stall_timeout=1),
                events=Events(clock=lambda: 0.0),
                rng=rng,
            ),
            who=self._who,
            version="1.2",
            client=self.wire,
            ended=self._ended,
        )

    async def open(self) -> None:
        self.dialler.balancer.drain(self.second.name)
        await self.path.open()
        self.dialler.balancer.resume(self.second.name)
        assert self.path.node == self.first.name

    async def subscribe(self, *headers: tuple[str, str]) -> None:
        sent = (("destination", "/amq/queue/acdm.mo.interact.private.7"), ("id", "s"), *headers)
        await self.path.subscribe(
            "s", RoomQueue(7), Frame("SUBSCRIBE", sent, raw=serialise("SUBSCRIBE", sent))
        )

    def send(self, command: str, *headers: tuple[str, str]) -> bool:
        return self.path.send(Frame(command, headers, raw=serialise(command, headers)))

    def _who(self) -> Identity:
        return WHO

    def _ended(self, error: GatewayError | None, *, told: bool = False) -> None:
        self.ended = error


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    async with serving(FakeNode("r1")) as first, serving(FakeNode("r2")) as second:
        stage = Stage(first, second)
        await stage.open()
        try:
            yield stage
        finally:
            stage.path.close()
            stage.wire.close()
            stage.client.close()


async def until(what: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + _TIMEOUT
    while not what():
        assert loop.time() < end
        await asyncio.sleep(0.005)


def commands(node: FakeNode) -> list[str]:
    return [frame.command for frame in node.received]


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_the_session_is_ended_there_and_goes_on_here() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        assert await stage.path.relocate("test")
        assert stage.path.node == "r2"
        assert commands(stage.first) == ["CONNECT", "SUBSCRIBE", "DISCONNECT"]
        await until(stage.second.subscribed)
        assert connections(stage.dialler) == {"r1": 0, "r2": 1}
        # What the old session delivered cannot be acknowledged any more, what this one does can.
        assert not stage.send("ACK", ("id", "T_s@@session-r1-1@@1"))
        assert stage.send("ACK", ("id", "T_s@@session-r2-1@@1"))
        await until(lambda: commands(stage.second) == ["CONNECT", "SUBSCRIBE", "ACK"])
        assert stage.ended is None


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_what_the_old_node_delivers_until_it_closes_reaches_the_client() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        stage.first.session.publish("acdm.mo.interact.private.7", b"last words")
        assert await stage.path.relocate("test")
        assert b"last words" in stage.client.recv(65_536)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_node_that_does_not_say_goodbye_is_left_all_the_same() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        stage.first.session.hang()
        assert await stage.path.relocate("test")
        assert (stage.path.node, stage.ended) == ("r2", None)
        await until(stage.second.subscribed)
        assert connections(stage.dialler) == {"r1": 0, "r2": 1}


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_what_is_under_way_is_not_put_in_doubt() -> None:
    async with staged() as stage:
        stage.first.answers = False
        await stage.subscribe(("receipt", "r"))
        assert not await stage.path.relocate("an unanswered receipt")
        await until(lambda: "SUBSCRIBE" in commands(stage.first))
        stage.first.session.send("RECEIPT", ("receipt-id", "r"))
        await until(lambda: stage.path.free)
        stage.first.answers = True
        stage.send("BEGIN", ("transaction", "t"))
        assert not await stage.path.relocate("an open transaction")
        stage.send("COMMIT", ("transaction", "t"))
        assert await stage.path.relocate("nothing stands against it")
        assert connections(stage.dialler) == {"r1": 0, "r2": 1}


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_where_no_other_node_takes_it_nothing_changes() -> None:
    async with staged() as stage:
        stage.dialler.balancer.drain("r2")
        assert not await stage.path.relocate("test")
        assert stage.path.node == "r1"
        assert commands(stage.first) == ["CONNECT"]


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_client_that_goes_in_the_middle_gives_both_places_back() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        stage.first.session.hang()
        moving = asyncio.create_task(stage.path.relocate("test"))
        await until(lambda: "DISCONNECT" in commands(stage.first))
        assert connections(stage.dialler) == {"r1": 1, "r2": 1}
        stage.path.close()
        await moving
        await until(lambda: connections(stage.dialler) == {"r1": 0, "r2": 0})


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_lost_node_is_replaced() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        stage.dialler.balancer.drain("r1")
        stage.first.session.drop()
        await until(stage.second.subscribed)
        await stage.path.wait()
        assert (stage.path.node, stage.ended) == ("r2", None)
        assert connections(stage.dialler) == {"r1": 0, "r2": 1}


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_who_waits_is_let_go_when_the_path_closes_before_its_move_has_begun() -> None:
    async with staged() as stage:
        gone = asyncio.Event()

        async def wait() -> None:
            await gone.wait()
            await stage.path.wait()

        waiting = asyncio.create_task(wait())
        stage.first.session.drop()
        while stage.path.ready:  # noqa: ASYNC110 - the very turn counts
            await asyncio.sleep(0)
        stage.path.close()
        gone.set()
        await asyncio.wait_for(waiting, 1)
