"""An uplink that moves on purpose, between scripted nodes."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import SystemRandom

import pytest
from tornado.iostream import IOStream

from broker.protocol.stomp import Frame, serialise
from broker.protocol.websocket import Opcode, build, walk
from broker.timing.tasks import Tasks
from broker.timing.ticker import Ticker
from gateway.auth.access import AccessRules
from gateway.budget.budgets import Budgets
from gateway.budget.table import BACKLOG
from gateway.config import Limits
from gateway.domain.identity import Identity
from gateway.errors import (
    BadFrame,
    BrokerRefused,
    BrokerUnavailable,
    GatewayError,
    Internal,
    TooLarge,
    TooManyQueues,
)
from gateway.limits import LiveLimits
from gateway.live.bytes_in_hand import BytesInHand
from gateway.live.destinations import Elsewhere, RoomQueue
from gateway.live.relay import receipts
from gateway.live.relay.charges import Charges
from gateway.live.relay.consumers import Consumers
from gateway.live.relay.dialler import KEPT
from gateway.live.relay.early import AT_ONCE as EARLY_AT_ONCE
from gateway.live.relay.early import OF_ADDRESS, EarlyDials
from gateway.live.relay.moves import MOVES
from gateway.live.relay.pace import LEAST
from gateway.live.relay.partings import Partings
from gateway.live.relay.rebalance import Rebalancer
from gateway.live.relay.relay import RelayContext, RelayLimits
from gateway.live.relay.uplink import Uplink, UplinkContext
from gateway.live.transport import Transport
from gateway.observe.events import Events
from gateway.poller import Poller
from tests.integration.live.fake_node import FakeNode, Session, serving
from tests.integration.live.relay.test_dialler import WHO, connections, dialler
from tests.rotations import in_rotation, rotation
from tests.unit.live.relay.fakes import FakeMissed, FakeNotes, FakeParking

#: Seconds; a bound only. Some tests wait for five seconds of the relay's own, on a machine that
#: does other things meanwhile.
_TIMEOUT = 30.0


class Queues:
    """Private queues that always exist; `standstill`: a cluster that declares nothing meanwhile."""

    def __init__(self) -> None:
        self.number = 1
        self.asked = 0
        self.standstill: asyncio.Future[None] | None = None
        self.fault: BrokerUnavailable | None = None

    async def ensure_private_queue(self, room: int) -> int:
        """It is there."""
        self.asked += 1
        if self.standstill is not None:
            await self.standstill
        if self.fault is not None:
            raise self.fault
        return self.number


class Stage:
    """A client's uplink, on the first of two nodes."""

    def __init__(self, first: FakeNode, second: FakeNode) -> None:
        self.first, self.second = first, second
        self.dialler = dialler(first, second)
        self.queues = Queues()
        self.ended: GatewayError | None = None
        self.heard = b""
        ours, self.client = socket.socketpair()
        ours.setblocking(False)
        self.client.setblocking(False)
        self.transport = Transport(IOStream(ours), stall_timeout=1, **in_rotation())
        self.consumers = Consumers()
        self.notes, self.missed, self.parking = FakeNotes(), FakeMissed(), FakeParking()
        self.partings = Partings()
        self.events = Events(clock=lambda: 0.0)
        rng = SystemRandom()
        charges = Charges(Budgets(LiveLimits(Limits(broker_queues_per_user=2)), clock=lambda: 0.0))
        self.early = EarlyDials(self.dialler, charges, AccessRules(()), tasks=Tasks())
        self.uplink = Uplink(
            UplinkContext(
                dialler=self.dialler,
                early=self.early,
                charges=charges,
                queues=self.queues,
                consumers=self.consumers,
                rebalancer=Rebalancer(
                    self.dialler.balancer, clock=lambda: 0.0, rng=rng, tasks=Tasks()
                ),
                relays=RelayContext(
                    limits=RelayLimits(100_000, stall_timeout=1),
                    ticker=Ticker(),
                    poller=Poller(),
                    rotation=rotation(),
                    tasks=Tasks(),
                    acknowledgements=self.notes,
                    missed=self.missed,
                    parking=self.parking,
                    partings=self.partings,
                ),
                events=self.events,
                rng=rng,
            ),
            who=self._who,
            version="1.2",
            client=self.transport,
            ended=self._ended,
        )

    async def open_early(self) -> None:
        """Take what was dialled before it is needed."""
        early = self.early.begin(WHO, "1.2", address="10.0.0.1")
        await self.uplink.open(urgent=True, early=early)

    async def open(self) -> None:
        self.dialler.balancer.drain(self.second.name)
        await self.uplink.open(urgent=True)
        self.dialler.balancer.resume(self.second.name)
        assert self.uplink.node == self.first.name

    async def subscribe(
        self, *headers: tuple[str, str], ack: str = "client-individual", id: str = "s"
    ) -> None:
        sent = (
            ("destination", "/amq/queue/acdm.mo.interact.private.7"),
            ("id", id),
            ("ack", ack),
            *headers,
        )
        await self.uplink.subscribe(
            id, RoomQueue(7), Frame("SUBSCRIBE", sent, raw=serialise("SUBSCRIBE", sent))
        )

    def send(self, command: str, *headers: tuple[str, str]) -> bool:
        return self.uplink.send(Frame(command, headers, raw=serialise(command, headers)))

    async def hears(self, words: bytes) -> None:
        """Until the client has got this."""
        loop = asyncio.get_running_loop()
        while words not in self.heard:
            self.heard += await asyncio.wait_for(loop.sock_recv(self.client, 65_536), _TIMEOUT)

    def _who(self) -> Identity:
        return WHO

    def _ended(self, error: GatewayError, *, error_sent: bool = False) -> None:
        self.ended = error


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    async with serving(FakeNode("r1")) as first, serving(FakeNode("r2")) as second:
        stage = Stage(first, second)
        await stage.open()
        try:
            yield stage
        finally:
            stage.uplink.close()
            stage.transport.close()
            stage.client.close()


async def until(what: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + _TIMEOUT
    while not what():
        assert loop.time() < end
        await asyncio.sleep(0.005)


def commands(node: FakeNode) -> list[str]:
    """The frames sent to it, without the uplink's own questions."""
    return [
        frame.command
        for frame in node.received
        if not (frame.get("transaction") or "").startswith("gateway-")
    ]


async def asked(node: FakeNode) -> None:
    """Until the uplink has asked whether everything was taken, and the node has said so."""
    await until(lambda: any(frame.command == "ABORT" for frame in node.received))


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_the_session_is_ended_there_and_goes_on_here() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        assert await stage.uplink.relocate("test")
        assert stage.uplink.node == "r2"
        assert commands(stage.first) == ["CONNECT", "SUBSCRIBE", "DISCONNECT"]
        await until(stage.second.subscribed)
        assert connections(stage.dialler) == {"r1": 0, "r2": 1}
        # What the old session delivered cannot be acknowledged any more, what this one does can.
        assert not stage.send("ACK", ("id", "T_s@@session-r1-1@@1"))
        name = stage.second.session.deliver("s", 1)
        await stage.hears(name.encode())
        assert stage.send("ACK", ("id", name))
        await until(lambda: commands(stage.second) == ["CONNECT", "SUBSCRIBE", "ACK"])
        assert stage.ended is None


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_nothing_follows_what_rabbitmq_will_refuse_until_it_has_answered() -> None:
    """Somebody who acknowledges nonsense all the time costs RabbitMQ one answer."""
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        assert stage.uplink.ready
        assert stage.send("ACK", ("id", "nonsense"))
        assert not stage.uplink.ready
        await asyncio.wait_for(stage.uplink.wait(), _TIMEOUT)
        # It has been asked, and has taken it.
        assert stage.uplink.ready
        assert "ABORT" in [each.command for each in stage.first.received]


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_messages_that_the_old_node_delivers_until_it_closes_reach_the_client() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        stage.first.session.publish("acdm.mo.interact.private.7", b"last words")
        assert await stage.uplink.relocate("test")
        assert b"last words" in stage.client.recv(65_536)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_node_that_does_not_say_goodbye_is_left_all_the_same() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        stage.first.session.hang()
        assert await stage.uplink.relocate("test")
        assert (stage.uplink.node, stage.ended) == ("r2", None)
        await until(stage.second.subscribed)
        assert connections(stage.dialler) == {"r1": 0, "r2": 1}


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_sends_under_way_are_not_put_in_doubt() -> None:
    async with staged() as stage:
        stage.first.answers = False
        await stage.subscribe(("receipt", "r"))
        assert not await stage.uplink.relocate("an unanswered receipt")
        await until(lambda: "SUBSCRIBE" in commands(stage.first))
        stage.first.session.send("RECEIPT", ("receipt-id", "r"))
        await until(lambda: stage.uplink.free)
        stage.first.answers = True
        stage.send("BEGIN", ("transaction", "t"))
        assert not await stage.uplink.relocate("an open transaction")
        stage.send("COMMIT", ("transaction", "t"))
        await until(lambda: stage.uplink.free)
        assert await stage.uplink.relocate("nothing stands against it")
        assert connections(stage.dialler) == {"r1": 0, "r2": 1}


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_nothing_changes_if_no_other_node_takes_it() -> None:
    async with staged() as stage:
        stage.dialler.balancer.drain("r2")
        assert not await stage.uplink.relocate("test")
        assert stage.uplink.node == "r1"
        assert commands(stage.first) == ["CONNECT"]


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_client_that_goes_in_the_middle_gives_both_places_back() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        stage.first.session.hang()
        moving = asyncio.create_task(stage.uplink.relocate("test"))
        await until(lambda: "DISCONNECT" in commands(stage.first))
        assert connections(stage.dialler) == {"r1": 1, "r2": 1}
        stage.uplink.close()
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
        await stage.uplink.wait()
        assert (stage.uplink.node, stage.ended) == ("r2", None)
        assert connections(stage.dialler) == {"r1": 0, "r2": 1}


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_move_does_not_wait_for_a_cluster_that_declares_nothing() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        stage.queues.standstill = asyncio.get_running_loop().create_future()
        stage.dialler.balancer.drain("r1")
        stage.first.session.drop()
        await until(stage.second.subscribed)
        assert stage.ended is None
        stage.queues.standstill.set_result(None)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_queue_that_cannot_be_declared_keeps_no_relay_from_moving() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        stage.queues.fault = BrokerUnavailable("no link stands")
        stage.dialler.balancer.drain("r1")
        stage.first.session.drop()
        await until(stage.second.subscribed)
        assert stage.ended is None


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_client_that_goes_while_queues_are_declared_gives_its_place_back() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        stage.queues.standstill = asyncio.get_running_loop().create_future()
        stage.dialler.balancer.drain("r1")
        stage.first.session.drop()
        await until(lambda: stage.second.logins)
        stage.uplink.close()
        await until(lambda: connections(stage.dialler) == {"r1": 0, "r2": 0})
        assert commands(stage.second) == ["CONNECT"]
        stage.queues.standstill.set_result(None)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_node_that_fell_silent_is_not_dialled_while_there_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.live.relay.dialler.HEART_BEAT", (10_000, 100))
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        # Once it is left, the node that hangs has the fewest connections.
        others = [await stage.dialler.dial(WHO, "1.2", exclude={"r1"}) for _ in range(2)]
        stage.first.deaf = True
        stage.first.session.hang()
        await until(stage.second.subscribed)
        left, _ = stage.dialler.balancer.states()
        assert (left.node.name, left.suspect, left.failures) == ("r1", True, 0)
        for upstream, lease in others:
            upstream.close()
            lease.release()


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_waiter_is_released_when_the_uplink_closes_before_its_move_has_begun() -> None:
    async with staged() as stage:
        gone = asyncio.Event()

        async def wait() -> None:
            await gone.wait()
            await stage.uplink.wait()

        waiting = asyncio.create_task(wait())
        stage.first.session.drop()
        while stage.uplink.ready:  # noqa: ASYNC110 - the very turn counts
            await asyncio.sleep(0)
        stage.uplink.close()
        gone.set()
        await asyncio.wait_for(waiting, 1)


def _send(stage: Stage, *headers: tuple[str, str]) -> None:
    stage.send("SEND", ("destination", "/exchange/nowhere/key"), *headers)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_the_client_leaves_when_the_node_has_said_that_all_was_taken() -> None:
    async with staged() as stage:
        _send(stage)
        await stage.uplink.leave()
        sent = [frame.command for frame in stage.first.received]
        assert sent == ["CONNECT", "SEND", "BEGIN", "ABORT", "DISCONNECT"]
        assert stage.ended is None


@pytest.mark.parametrize("loss", ["drop", "hang"])
@pytest.mark.gen_test(timeout=2 * _TIMEOUT)
async def test_nobody_is_told_that_all_is_well_when_the_node_goes_while_the_client_leaves(
    loss: str,
) -> None:
    async with staged() as stage:
        stage.first.session.hang()
        _send(stage)
        leaving = asyncio.create_task(stage.uplink.leave())
        await until(lambda: "SEND" in commands(stage.first))
        if loss == "drop":
            stage.first.session.drop()
        with pytest.raises(BrokerUnavailable):
            await leaving
        assert isinstance(stage.ended, BrokerUnavailable)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_node_that_dies_with_disconnect_has_not_closed_in_good_order() -> None:
    async with staged() as stage:
        stage.first.answers = False
        leaving = asyncio.create_task(stage.uplink.leave())
        await until(lambda: "DISCONNECT" in commands(stage.first))
        stage.first.session.drop()
        with pytest.raises(BrokerUnavailable):
            await leaving


async def _taken_though_nobody_reads(stage: Stage) -> int:
    """How many messages the uplink has taken until its node, which reads nothing, takes no more."""
    stage.first.session.reads.clear()
    sent, body = 0, bytes(50_000)
    headers = (("destination", "/queue/x"),)
    loop = asyncio.get_running_loop()
    full_since = None
    while full_since is None or loop.time() < full_since + 0.05:
        if not stage.uplink.ready:
            full_since = full_since or loop.time()
            await asyncio.sleep(0)
            continue
        full_since = None
        frame = Frame("SEND", headers, body, raw=serialise("SEND", headers, body))
        assert stage.uplink.send(frame)
        sent += 1
    return sent


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_what_was_taken_from_a_client_that_is_gone_is_delivered() -> None:
    async with staged() as stage:
        sent = await _taken_though_nobody_reads(stage)
        stage.uplink.close()
        assert len(stage.partings) == 1
        stage.first.session.reads.set()
        await until(lambda: commands(stage.first).count("SEND") == sent)
        await until(lambda: not len(stage.partings))


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_what_was_taken_for_a_node_that_stands_still_is_delivered_when_it_goes_on() -> None:
    async with staged() as stage:
        sent = await _taken_though_nobody_reads(stage)
        stage.first.session.hang()
        await until(lambda: stage.ended)
        assert isinstance(stage.ended, BrokerUnavailable)
        stage.first.session.reads.set()
        await until(lambda: commands(stage.first).count("SEND") == sent)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_node_that_stands_still_and_owes_nothing_is_left_at_once() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await asked(stage.first)
        stage.first.session.hang()
        await until(lambda: stage.uplink.node == stage.second.name)
        await until(lambda: stage.first.open == 0)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_receipt_that_never_comes_makes_leaving_doubtful() -> None:
    async with staged() as stage:
        _send(stage, ("receipt", "nacked"))
        with pytest.raises(BrokerUnavailable):
            await stage.uplink.leave()
        assert "DISCONNECT" not in commands(stage.first)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_session_that_ends_between_proof_and_goodbye_is_no_good_end() -> None:
    async with staged() as stage:
        stage.first.cruel = lambda frame: frame.command == "ABORT"
        _send(stage)
        with pytest.raises(BrokerUnavailable):
            await stage.uplink.leave()
        assert isinstance(stage.ended, BrokerRefused)


@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE", "COMMIT"])
@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_the_frame_that_ends_the_session_is_named_and_nobody_is_moved(command: str) -> None:
    async with staged() as stage:
        stage.first.cruel = lambda frame: frame.command == command
        match command:
            case "SUBSCRIBE":
                await stage.subscribe()
            case "COMMIT":
                stage.send("BEGIN", ("transaction", "t"))
                stage.send("COMMIT", ("transaction", "t"))
            case _:
                _send(stage)
        await until(lambda: stage.ended)
        assert isinstance(stage.ended, BrokerRefused)
        assert command in stage.ended.detail
        assert stage.second.logins == 0


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_messages_under_way_to_a_node_that_dies_are_told() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await asked(stage.first)
        await until(lambda: stage.uplink.free)
        stage.first.session.hang()
        _send(stage)
        stage.first.session.drop()
        await until(lambda: stage.ended)
        assert isinstance(stage.ended, BrokerUnavailable)
        assert stage.second.logins == 0


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_message_that_was_taken_keeps_nobody_from_moving() -> None:
    async with staged() as stage:
        await stage.subscribe()
        _send(stage)
        await asked(stage.first)
        await until(lambda: stage.uplink.free)
        stage.dialler.balancer.drain("r1")
        stage.first.session.drop()
        await until(stage.second.subscribed)
        assert stage.ended is None


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_second_acknowledgement_is_the_clients_fault() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        name = stage.first.session.deliver("s", 1)
        await stage.hears(name.encode())
        ack = build(Opcode.TEXT, serialise("ACK", [("id", name)]), mask=b"mask")
        assert stage.uplink.acknowledge(ack * 2) == (1, len(ack))
        with pytest.raises(BadFrame, match="acknowledged before"):
            stage.send("NACK", ("id", name))


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_what_needs_no_acknowledgement_gets_none_by_another_subscriptions_name() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await stage.subscribe(ack="auto", id="a")
        name = stage.first.session.deliver("s", 1)
        stage.first.session.deliver("a", 2, b"automatic")
        await stage.hears(b"automatic")
        with pytest.raises(BadFrame, match="ack:auto"):
            stage.send("ACK", ("id", name.removesuffix("1") + "2"))
        assert stage.send("ACK", ("id", name))
        await until(lambda: "ACK" in commands(stage.first))


@pytest.mark.gen_test(timeout=3 * _TIMEOUT)
async def test_a_session_that_ends_again_and_again_does_not_move_for_ever() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await asked(stage.first)
        ended: set[Session] = set()
        while stage.ended is None:
            for session in (*stage.first.sessions, *stage.second.sessions):
                if session.keys and session not in ended:
                    ended.add(session)
                    session.drop()
            await asyncio.sleep(0.005)
        assert isinstance(stage.ended, BrokerUnavailable)
        assert len(ended) == 1 + MOVES


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_request_at_which_two_nodes_drop_the_session_is_refused_if_the_second_works() -> (
    None
):
    async with staged() as stage:
        await stage.subscribe()
        stage.dialler.balancer.drain(stage.first.name)
        for node in (stage.first, stage.second):
            await until(node.subscribed)
            node.session.drop()
        await until(lambda: stage.ended)
        assert isinstance(stage.ended, BrokerRefused)
        assert "/amq/queue/acdm.mo.interact.private.7" in stage.ended.detail


@pytest.mark.gen_test(timeout=3 * _TIMEOUT)
async def test_two_nodes_that_die_at_the_same_request_are_no_fault_of_it() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        stage.first.session.drop()
        stage.dialler.balancer.drain(stage.first.name)
        await until(stage.second.subscribed)
        stage.second.deaf = True
        stage.dialler.balancer.resume(stage.first.name)
        stage.second.session.drop()
        await until(lambda: stage.first.logins == 2 and stage.first.subscribed())
        assert stage.ended is None


async def consuming(stage: Stage, *headers: tuple[str, str], ack: str) -> None:
    """An application on a queue that is no room's; RabbitMQ has taken its SUBSCRIBE."""
    sent = (("destination", "/queue/orders"), ("id", "o"), ("ack", ack), *headers)
    await stage.uplink.subscribe(
        "o", Elsewhere(), Frame("SUBSCRIBE", sent, raw=serialise("SUBSCRIBE", sent))
    )
    await asked(stage.first)


@pytest.mark.gen_test(timeout=_TIMEOUT)
@pytest.mark.parametrize("loss", ["drop", "hang"])
@pytest.mark.parametrize("ack", ["client", "client-individual"])
async def test_a_consumer_of_a_durable_queue_goes_on_at_another_node(loss: str, ack: str) -> None:
    async with staged() as stage:
        await consuming(stage, ("prefetch-count", "9"), ack=ack)
        late = stage.first.session.deliver("o", 1)
        await stage.hears(late.encode())
        if loss == "drop":
            stage.dialler.balancer.drain(stage.first.name)
            stage.first.session.drop()
        else:
            stage.first.session.hang()
        await until(stage.second.subscribed)
        assert stage.second.received[-1].headers == (
            ("destination", "/queue/orders"),
            ("id", "o"),
            ("ack", ack),
            ("prefetch-count", "9"),
        )
        assert not stage.send("ACK", ("id", late))
        again = stage.second.session.deliver("o", 1)
        await stage.hears(again.encode())
        assert stage.send("ACK", ("id", again))
        await until(lambda: commands(stage.second)[-1] == "ACK")
        assert stage.ended is None


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_what_was_on_its_way_without_an_acknowledgement_is_said_to_be_lost() -> None:
    async with staged() as stage:
        await consuming(stage, ack="auto")
        stage.first.session.drop()
        await until(lambda: stage.ended)
        assert isinstance(stage.ended, BrokerUnavailable)
        assert "SUBSCRIBE" not in commands(stage.second)


@pytest.mark.gen_test(timeout=_TIMEOUT)
@pytest.mark.parametrize("said", [True, False])
async def test_a_queue_that_the_next_node_does_not_give_may_come_back(*, said: bool) -> None:
    async with staged() as stage:
        await consuming(stage, ack="client")
        stage.dialler.balancer.drain(stage.first.name)

        def refuse(frame: Frame) -> bool:
            if frame.command == "SUBSCRIBE" and said:
                stage.second.session.send(
                    "ERROR", ("message", "not_found"), body=b"NOT_FOUND - no queue 'orders'"
                )
            return frame.command == "SUBSCRIBE" and not said

        stage.second.cruel = refuse
        stage.first.session.drop()
        await until(lambda: stage.ended)
        assert isinstance(stage.ended, BrokerUnavailable)
        assert commands(stage.second).count("SUBSCRIBE") == 1


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_before_the_first_message_of_a_stream_after_a_move_others_may_be_missing() -> None:
    async with staged() as stage:
        await consuming(stage, ("prefetch-count", "9"), ack="client")
        stage.dialler.balancer.drain(stage.first.name)
        stage.first.session.drop()
        await until(stage.second.subscribed)
        stage.second.session.deliver("o", 1, b"later", [("x-stream-offset", "70")])
        await until(lambda: stage.ended)
        assert isinstance(stage.ended, BrokerUnavailable)
        assert "x-stream-offset" in stage.ended.detail
        assert b"later" not in stage.heard


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_consumer_moves_without_need_only_when_nothing_would_come_again() -> None:
    async with staged() as stage:
        await consuming(stage, ack="client-individual")
        name = stage.first.session.deliver("o", 1)
        await stage.hears(name.encode())
        assert not await stage.uplink.relocate("the other has room")
        stage.dialler.balancer.drain(stage.first.name)
        assert stage.uplink.free
        stage.dialler.balancer.resume(stage.first.name)
        stage.send("ACK", ("id", name))
        assert await stage.uplink.relocate("the other has room")
        await until(stage.second.subscribed)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_message_that_is_too_large_is_replaced_and_what_is_behind_comes() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        name = stage.first.session.deliver("s", 1, b"x" * 300_000)
        behind = stage.first.session.deliver("s", 2, b"behind")
        await stage.hears(b"behind")
        assert b"too-large:" in stage.heard
        assert b"xxxx" not in stage.heard
        # RabbitMQ keeps it until there is a place for it.
        assert stage.parking.told == [(7, "300125 bytes in the private queue of room 7")]
        assert not stage.send("ACK", ("id", name))
        assert stage.send("ACK", ("id", behind))
        await until(lambda: "ACK" in commands(stage.first))
        assert "NACK" not in commands(stage.first)
        stage.parking.stands.set()
        await until(lambda: "NACK" in commands(stage.first))
        (nack,) = [frame for frame in stage.first.received if frame.command == "NACK"]
        assert (nack.get("id"), nack.get("requeue")) == (name, "false")
        assert commands(stage.first).count("ACK") == 1
        assert stage.parking.rejections == 1
        # The next one waits for its own place: the queue may have gone meanwhile.
        stage.parking.stands.clear()
        stage.first.session.deliver("s", 3, b"x" * 300_000)
        await until(lambda: len(stage.parking.told) == 2)
        behind = stage.first.session.deliver("s", 4, b"the end")
        await stage.hears(b"the end")
        assert stage.send("ACK", ("id", behind))
        await until(lambda: commands(stage.first).count("ACK") == 2)
        assert commands(stage.first).count("NACK") == 1
        stage.parking.stands.set()
        await until(lambda: commands(stage.first).count("NACK") == 2)
        assert stage.ended is None


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_one_that_is_too_large_waits_in_its_queue_if_its_session_ends_before() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        stage.first.session.deliver("s", 1, b"x" * 300_000)
        await stage.hears(b"too-large:")
        await until(lambda: stage.parking.told)
        stage.dialler.balancer.drain(stage.first.name)
        stage.first.session.drop()
        await until(stage.second.subscribed)
        assert stage.parking.given_up == 1
        stage.parking.stands.set()
        # It comes again: there it is rejected, under its new name.
        name = stage.second.session.deliver("s", 1, b"x" * 300_000)
        await until(lambda: "NACK" in commands(stage.second))
        assert [f.get("id") for f in stage.second.received if f.command == "NACK"] == [name]
        assert "NACK" not in commands(stage.first)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_one_that_ack_auto_has_taken_is_said_to_be_lost() -> None:
    async with staged() as stage:
        await stage.subscribe(ack="auto")
        await until(stage.first.subscribed)
        stage.first.session.deliver("s", 1, b"x" * 300_000)
        await stage.hears(b"too-large:")
        assert stage.parking.told == []
        (event,) = stage.events.after(0, limit=9)
        assert "lost, because its client acknowledges nothing" in event.as_json()["detail"]


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_one_that_is_too_large_elsewhere_ends_with_what_it_is() -> None:
    async with staged() as stage:
        sent = (("destination", "/queue/x"), ("id", "s"))
        frame = Frame("SUBSCRIBE", sent, raw=serialise("SUBSCRIBE", sent))
        await stage.uplink.subscribe("s", Elsewhere(), frame)
        await until(stage.first.subscribed)
        stage.first.session.deliver("s", 1, b"x" * 300_000)
        await until(lambda: stage.ended)
        assert isinstance(stage.ended, TooLarge)
        assert "/queue/x" in stage.ended.detail
        assert stage.second.logins == 0


@pytest.mark.parametrize("given", [Opcode.TEXT, Opcode.BINARY])
@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_text_reaches_the_client_as_text_and_all_else_as_binary(given: Opcode) -> None:
    bodies = ["한글".encode(), b"plain", b"\xff\0", b"", b"the end"]
    async with staged() as stage:
        await stage.subscribe(ack="auto")
        await asked(stage.first)
        stage.first.session.write(
            b"".join(
                build(given, serialise("MESSAGE", [("subscription", "s")], body)) for body in bodies
            )
        )
        await stage.hears(b"the end")
    found = [
        (opcode, stage.heard[payload:end])
        for opcode, _, payload, end in walk(stage.heard, frame_bytes=100_000)
    ]
    kinds = [Opcode.TEXT, Opcode.TEXT, Opcode.BINARY, Opcode.TEXT, Opcode.TEXT]
    assert [opcode for opcode, data in found if data.startswith(b"MESSAGE")] == kinds
    assert all(body in data for body, (_, data) in zip(bodies, found[-5:], strict=True))


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_receipt_is_not_awaited_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "LONGEST", 0.2)
    async with staged() as stage:
        _send(stage, ("receipt", "answered"))
        stage.first.session.send("RECEIPT", ("receipt-id", "answered"))
        _send(stage, ("receipt", "nacked"))
        await until(lambda: stage.ended)
        assert isinstance(stage.ended, BrokerUnavailable)
        assert "'nacked'" in stage.ended.detail


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_closed_uplink_still_names_its_node() -> None:
    async with staged() as stage:
        stage.uplink.close()
        assert stage.uplink.node == "r1"


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_one_that_is_moved_has_its_messages_taken_before() -> None:
    async with staged() as stage:
        _send(stage)
        assert stage.uplink.free
        assert await stage.uplink.relocate("test")
        sent = [frame.command for frame in stage.first.received]
        assert sent == ["CONNECT", "SEND", "BEGIN", "ABORT", "DISCONNECT"]
        assert (stage.uplink.node, stage.ended) == ("r2", None)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_messages_at_a_node_that_hangs_when_it_is_left_are_told() -> None:
    async with staged() as stage:
        stage.first.session.hang()
        _send(stage)
        await stage.uplink.relocate("test")
        assert isinstance(stage.ended, BrokerUnavailable)
        await until(lambda: connections(stage.dialler)["r2"] == 0)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_message_that_is_refused_when_its_node_is_left_is_told() -> None:
    async with staged() as stage:
        stage.first.cruel = lambda frame: frame.command == "ABORT"
        _send(stage)
        await stage.uplink.relocate("test")
        assert isinstance(stage.ended, BrokerRefused)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_waiter_for_an_answer_is_released_when_the_uplink_closes() -> None:
    async with staged() as stage:
        stage.first.session.hang()
        _send(stage)
        leaving = asyncio.create_task(stage.uplink.leave())
        await until(lambda: "SEND" in commands(stage.first))
        stage.uplink.close()
        with pytest.raises(BrokerUnavailable):
            await asyncio.wait_for(leaving, 1)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_move_that_somebody_else_cancels_is_told() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        # Nobody takes it, so the move lasts.
        for name in ("r1", "r2"):
            stage.dialler.balancer.drain(name)
        stage.first.session.drop()
        await until(lambda: stage.uplink._moving is not None)
        assert stage.uplink._moving is not None
        stage.uplink._moving.cancel()
        await until(lambda: stage.ended is not None)
        assert isinstance(stage.ended, Internal)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_node_s_message_that_nobody_can_handle_is_reported_and_not_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)

        def fail(*_: object, **__: object) -> None:
            raise KeyError("nobody foresaw it")

        monkeypatch.setattr("gateway.live.relay.relay.walk", fail)
        stage.first.session.deliver("s", 1)
        await until(lambda: stage.ended is not None)
        assert isinstance(stage.ended, Internal)


REPLACED = BrokerUnavailable("the queue was replaced")


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_the_consumer_of_a_replaced_queue_is_sent_away() -> None:
    async with staged() as stage:
        await stage.subscribe()
        assert stage.consumers.rooms == [7]
        assert stage.consumers.end_older(7, 1, REPLACED) == 0
        assert stage.consumers.end_older(8, 2, REPLACED) == 0
        assert stage.ended is None
        assert stage.consumers.end_older(7, 2, REPLACED) == 1
        assert stage.ended is REPLACED
        assert stage.consumers.rooms == []


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_one_that_consumes_no_queue_any_more_stays() -> None:
    async with staged() as stage:
        await stage.subscribe()
        sent = (("id", "s"),)
        stage.uplink.unsubscribe(
            "s", Frame("UNSUBSCRIBE", sent, raw=serialise("UNSUBSCRIBE", sent))
        )
        assert stage.consumers.end_older(7, 2, REPLACED) == 0
        assert stage.ended is None


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_whoever_moves_meanwhile_consumes_the_new_queue_and_stays() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        stage.queues.number = 2
        stage.queues.standstill = asyncio.get_running_loop().create_future()
        stage.dialler.balancer.drain("r1")
        stage.first.session.drop()
        await until(lambda: stage.queues.asked == 2)
        assert stage.consumers.end_older(7, 2, REPLACED) == 0
        stage.queues.standstill.set_result(None)
        await until(stage.second.subscribed)
        assert stage.consumers.end_older(7, 2, REPLACED) == 0
        assert stage.ended is None
        assert stage.consumers.end_older(7, 3, REPLACED) == 1


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_whoever_moved_before_the_queue_was_replaced_consumes_the_old_one() -> None:
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        stage.queues.standstill = asyncio.get_running_loop().create_future()
        stage.queues.number = 2
        stage.dialler.balancer.drain("r1")
        stage.first.session.drop()
        await until(stage.second.subscribed)
        stage.queues.standstill.set_result(None)
        await asyncio.sleep(0.05)
        assert stage.consumers.end_older(7, 2, REPLACED) == 1


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_planned_move_looks_for_the_queue_first() -> None:
    """The next node may be of another cluster."""
    async with staged() as stage:
        await stage.subscribe()
        await until(stage.first.subscribed)
        stage.queues.fault = BrokerUnavailable("no link stands")
        assert not await stage.uplink.relocate("on purpose")
        stage.queues.fault, stage.queues.number = None, 2
        assert await stage.uplink.relocate("on purpose")
        assert stage.consumers.end_older(7, 2, REPLACED) == 0
        assert stage.uplink.node == "r2"


@pytest.mark.parametrize("by", ["SEND", "SUBSCRIBE"])
@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_durable_queues_that_a_client_lets_rabbitmq_declare_are_counted(by: str) -> None:
    ids = iter("123456789")

    async def use(name: str) -> None:
        id = next(ids)
        headers = (("destination", f"/queue/{name}"), ("id", id))
        frame = Frame(by, headers, raw=serialise(by, headers))
        if by == "SEND":
            stage.uplink.send(frame)
        else:
            await stage.uplink.subscribe(id, Elsewhere(), frame)

    async with staged() as stage:
        for name in ("a", "b", "a", "b"):
            await use(name)
        with pytest.raises(TooManyQueues, match="at most 2 "):
            await use("c")
        await until(lambda: commands(stage.first).count(by) == 4)
        # The room's own queue, and topics, leave nothing behind.
        await stage.subscribe()
        stage.send("SEND", ("destination", "/topic/d"))
        await until(lambda: commands(stage.first).count("SEND") == (5 if by == "SEND" else 1))
        assert "/queue/c" not in {each.get("destination") for each in stage.first.received}


class Keeper:
    """A connection for which bytes are kept."""

    is_host = False

    def __init__(self) -> None:
        self.error: GatewayError | None = None

    def cut_short(self, error: GatewayError) -> None:
        self.error = error


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_what_has_come_of_a_frame_for_a_client_counts_for_it_and_has_a_limit_in_all() -> None:
    limits = LiveLimits(Limits(backlog_bytes_in_all=60_000))
    pool, keeper = BytesInHand(BACKLOG, limits, met=Counter()), Keeper()
    async with staged() as stage:
        account = stage.transport.account = pool.account(keeper)
        await stage.subscribe()
        await until(stage.first.subscribed)
        whole = build(
            Opcode.TEXT,
            serialise("MESSAGE", (("subscription", "s"), ("message-id", "1")), b"x" * 70_000),
        )
        stage.first.session.write(whole[:50_000])
        await until(lambda: account.kept == 50_000)
        assert keeper.error is None
        stage.first.session.write(whole[50_000:65_000])
        await until(lambda: keeper.error is not None)
        assert keeper.error is not None
        assert keeper.error.budget == "backlog/all"
        stage.first.session.write(whole[65_000:])
        await stage.hears(b"x" * 70_000)
        await until(lambda: account.kept == 0)
        stage.first.session.write(whole[:100])
        await until(lambda: account.kept == 100)
        stage.uplink.close()
        assert account.kept == 0


@asynccontextmanager
async def not_opened() -> AsyncIterator[Stage]:
    async with serving(FakeNode("r1")) as first, serving(FakeNode("r2")) as second:
        stage = Stage(first, second)
        try:
            yield stage
        finally:
            stage.uplink.close()
            stage.transport.close()
            stage.client.close()


@pytest.fixture
def _needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all clients of each kind had needed the broker until now."""
    monkeypatch.setattr("gateway.live.relay.early._UNKNOWN", 1.0)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_kind_of_clients_is_dialled_for_once_two_have_needed_the_broker() -> None:
    async with not_opened() as stage:
        for _ in range(2):
            early = stage.early.begin(WHO, "1.2", address="10.0.0.1")
            assert early is not None
            assert await early.take() is None
        assert stage.first.connections + stage.second.connections == 0
        await stage.open_early()
        assert stage.first.logins + stage.second.logins == 1


@pytest.mark.usefixtures("_needed")
@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_what_was_dialled_early_is_the_one_session() -> None:
    async with not_opened() as stage:
        await stage.open_early()
        assert sum(connections(stage.dialler).values()) == 1
        assert stage.first.logins + stage.second.logins == 1
        _send(stage)
        await until(lambda: "SEND" in commands(stage.first) + commands(stage.second))


@pytest.mark.usefixtures("_needed")
@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_an_early_dial_that_waits_for_others_is_hurried_by_a_host() -> None:
    async with not_opened() as stage:
        turns = stage.dialler._turns
        others = [
            asyncio.ensure_future(turns.begin(f"user{n}", within=_TIMEOUT))
            for n in range(LEAST - KEPT)
        ]
        # Their turns begin first; nobody has one yet.
        early = stage.early.begin(WHO, "1.2", address="10.0.0.1")
        await asyncio.gather(*others)
        assert turns.waiting == 1
        await stage.uplink.open(urgent=True, early=early)
        assert stage.first.logins + stage.second.logins == 1


@pytest.mark.usefixtures("_needed")
@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_session_that_ended_before_it_was_needed_is_replaced_without_a_word() -> None:
    async with not_opened() as stage:
        early = stage.early.begin(WHO, "1.2", address="10.0.0.1")
        await until(lambda: stage.first.logins + stage.second.logins)
        (node,) = [each for each in (stage.first, stage.second) if each.logins]
        node.session.drop()
        await until(lambda: not node.open)
        await stage.uplink.open(urgent=False, early=early)
        _send(stage)
        await until(lambda: "SEND" in commands(stage.first) + commands(stage.second))
        assert stage.ended is None
        assert sum(connections(stage.dialler).values()) == 1


@pytest.mark.usefixtures("_needed")
@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_what_nobody_needs_soon_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.live.relay.early.SOON", 0.2)
    async with not_opened() as stage:
        early = stage.early.begin(WHO, "1.2", address="10.0.0.1")
        assert early is not None
        await until(lambda: stage.first.logins + stage.second.logins)
        await until(lambda: not (stage.first.open or stage.second.open))
        assert not any(connections(stage.dialler).values())
        await stage.uplink.open(urgent=False, early=early)
        assert stage.uplink.node is not None


@pytest.mark.usefixtures("_needed")
@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_client_that_goes_at_once_leaves_no_session_behind() -> None:
    async with not_opened() as stage:
        early = stage.early.begin(WHO, "1.2", address="10.0.0.1")
        assert early is not None
        early.close()
        await stage.uplink.open(urgent=False)
        assert sum(connections(stage.dialler).values()) == 1


@pytest.mark.usefixtures("_needed")
@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_clients_that_never_need_the_broker_are_not_dialled_for() -> None:
    async with not_opened() as stage:
        for _ in range(20):
            early = stage.early.begin(WHO, "1.2", address="10.0.0.1")
            assert early is not None
            early.close()
        before = stage.first.connections + stage.second.connections
        early = stage.early.begin(WHO, "1.2", address="10.0.0.1")
        assert early is not None
        assert await early.take() is None
        for _ in range(20):
            early = stage.early.begin(WHO, "1.2", address="10.0.0.1")
            assert early is not None
            if (session := await early.take()) is not None:
                upstream, lease = session
                upstream.close()
                lease.release()
        # Those who needed it have changed that.
        await until(lambda: stage.first.connections + stage.second.connections > before)


@pytest.mark.usefixtures("_needed")
@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_clients_of_one_address_have_few_unused_sessions() -> None:
    async with not_opened() as stage:
        watches = [
            early.begin(WHO, "1.2", address=address)
            for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3")
            for early in [stage.early] * OF_ADDRESS
        ]
        taken = [await each.take() for each in watches if each is not None]
        assert len(taken) == 3 * OF_ADDRESS
        found = [session for session in taken if session is not None]
        assert 0 < len(found) <= EARLY_AT_ONCE
        for upstream, lease in found:
            upstream.close()
            lease.release()


@pytest.mark.gen_test(timeout=_TIMEOUT)
@pytest.mark.parametrize("destination", ["/queue/a", "/queue/other"])
async def test_a_session_that_is_ended_after_what_was_taken_before_is_not_the_messages_fault(
    destination: str,
) -> None:
    async with staged() as stage:
        headers = ("destination", "/queue/a"), ("receipt", "r")
        stage.send("SEND", *headers)
        stage.first.session.send("RECEIPT", ("receipt-id", "r"))
        await stage.hears(b"receipt-id:r")
        stage.first.cruel = lambda frame: frame.command == "SEND"
        stage.send("SEND", ("destination", destination), ("receipt", "r"))
        await until(lambda: stage.ended)
        expected = BrokerUnavailable if destination == "/queue/a" else BrokerRefused
        assert isinstance(stage.ended, expected)
