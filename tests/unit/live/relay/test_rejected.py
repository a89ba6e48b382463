"""Messages that are too large are rejected, and nothing else, whatever the client acknowledges."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.protocol.stomp import CLIENT_COMMANDS, Frame, FrameParser, Limits, serialise
from broker.protocol.websocket import Opcode, build
from broker.topology import Audience, Stream
from gateway.domain.message import Message
from gateway.errors import BadFrame
from gateway.live.relay.acknowledgements import HELD, Deliveries
from gateway.live.relay.state import RelayState
from tests.unit.live.relay.fakes import FakeNotes

_ROOM = 42


@dataclass
class Channel:
    """RabbitMQ's channel: what is not acknowledged, and what became of the rest. It ends for a tag
    that is not there, and a cumulative one is for all before it, whatever their subscription
    (rabbit_channel:collect_acks/5). ``parks``: what is rejected has a place."""

    cumulative: set[str]
    parks: bool = False
    unacked: list[int] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    rejected: list[int] = field(default_factory=list)
    requeued: list[int] = field(default_factory=list)

    def take(self, data: bytes) -> None:
        for each in FrameParser(Limits(), CLIENT_COMMANDS).feed(data):
            assert isinstance(each, Frame)
            name, _, number = (each.get("id") or each.get("message-id") or "").rpartition("@@")
            tag, cumulative = int(number), name.removesuffix("@@x") in self.cumulative
            assert tag in self.unacked, f"PRECONDITION_FAILED - unknown delivery tag {tag}"
            concerned = [one for one in self.unacked if one == tag or (cumulative and one < tag)]
            self.unacked = [one for one in self.unacked if one not in concerned]
            if each.command == "ACK":
                self.acknowledged += concerned
            elif each.get("requeue") == "false":
                assert self.parks, "lost: it was rejected before there was a place"
                self.rejected += concerned
            else:
                self.requeued += concerned


class Host:
    """A session with a subscription to a private queue, and to others, on such a channel."""

    def __init__(self, ack: str, version: str = "1.2") -> None:
        self.channel = Channel(set())
        self.version = version
        self.deliveries = Deliveries("x", version, FakeNotes())
        #: By tag: the subscription.
        self.by: dict[int, str] = {}
        self.subscribe("s", ack, _ROOM)

    def subscribe(self, key: str, ack: str, room: int) -> None:
        headers = (("id", key), ("destination", f"/amq/queue/p.private.{room}"), ("ack", ack))
        self.deliveries.subscribed(Frame("SUBSCRIBE", headers), room)
        if ack == "client":
            self.channel.cumulative.add(f"T_{key}")

    def comes(self, *, large: bool, by: str = "s") -> int:
        self.deliveries.last += 1
        tag = self.deliveries.last
        self.by[tag] = by
        head = f"MESSAGE\nsubscription:{by}\nmessage-id:{self.name(tag)}\n\n".encode()
        self.deliveries.newest = head
        self.channel.unacked.append(tag)
        if large:
            # Room by room it is looked whether there is a place.
            self.channel.parks = False
            assert self.deliveries.too_large(Frame("MESSAGE", (("message-id", self.name(tag)),)))
        else:
            assert self.deliveries.came(head) is None
        return tag

    def name(self, tag: int) -> str:
        return f"T_{self.by.get(tag, 's')}@@x@@{tag}"

    def says(self, command: str, tag: int, *more: tuple[str, str]) -> None:
        """The client's word, and what reaches RabbitMQ of it, as Conversation.send has it."""
        headers = ((("id", self.name(tag))), *more)
        if self.version != "1.2":
            by = ("subscription", self.by[tag])
            headers = (("message-id", self.name(tag)), by, *more)
        raw = serialise(command, headers)
        if self.deliveries.pass_by(build(Opcode.TEXT, raw, mask=b"mask"))[0]:
            self.channel.take(raw)
            return
        frame = self.deliveries.without_discarding(Frame(command, headers, raw=raw))
        instead = self.deliveries.handled(frame)
        if instead is None:
            settled = self.deliveries.read(frame)
            assert settled is not None
            if not self.deliveries.settle(settled, handled=frame.command == "ACK"):
                raise BadFrame("acknowledged before")
            instead = [frame.raw]
        for each in instead:
            self.channel.take(each)
        if self.deliveries.parks:
            self.reject()

    def reject(self) -> None:
        """There is a place for all that is to be rejected."""
        self.channel.parks = True
        for each in self.deliveries.reject():
            self.channel.take(each)


_STEPS = st.lists(
    st.sampled_from(("message", "large", "ready", "ack oldest", "ack newest", "nack oldest")),
    max_size=25,
)


@pytest.mark.parametrize("ack", ["client-individual", "client"])
@given(_STEPS)
def test_whatever_the_client_says_only_the_large_ones_are_rejected(
    ack: str, steps: list[str]
) -> None:
    host, large, open_tags = Host(ack), list[int](), list[int]()

    def say(command: str, tag: int) -> None:
        host.says(command, tag)
        done = [one for one in open_tags if one == tag or (ack == "client" and one < tag)]
        open_tags[:] = [one for one in open_tags if one not in done]

    for step in steps:
        match step.split():
            case ["message"]:
                open_tags.append(host.comes(large=False))
            case ["large"]:
                large.append(host.comes(large=True))
                open_tags.append(large[-1])
            case ["ready"]:
                host.reject()
            case [verb, which] if open_tags:
                say(verb.upper(), open_tags[0 if which == "oldest" else -1])
    while open_tags:
        say("ACK", open_tags[0])
    host.reject()
    assert host.channel.unacked == []
    assert sorted(host.channel.rejected) == large
    assert not set(large) & {*host.channel.acknowledged, *host.channel.requeued}


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_message_is_rejected_at_once_and_the_clients_own_acknowledgement_stays_here(
    version: str,
) -> None:
    host = Host("client-individual", version)
    host.comes(large=False)
    tag = host.comes(large=True)
    host.reject()
    assert (host.channel.rejected, host.channel.unacked) == ([tag], [1])
    host.says("ACK", tag)
    host.says("ACK", 1)
    assert (host.channel.rejected, host.channel.acknowledged) == ([tag], [1])
    with pytest.raises(BadFrame):
        host.says("ACK", tag)


def test_what_ack_auto_has_brought_cannot_be_rejected() -> None:
    host = Host("auto")
    host.deliveries.last += 1
    assert not host.deliveries.too_large(Frame("MESSAGE", (("message-id", host.name(1)),)))
    assert host.deliveries.reject() == []


@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_between_messages_of_another_subscription_a_cumulative_one_takes_only_itself_along(
    command: str,
) -> None:
    host = Host("client")
    host.subscribe("o", "client-individual", 7)
    # The other subscription's message, which a NACK of the next one would be for, too.
    other = host.comes(large=False, by="o")
    done = host.comes(large=False, by="o")
    tag = host.comes(large=True)
    host.reject()
    assert host.channel.rejected == []
    host.says("ACK", done)
    # RabbitMQ takes a cumulative one for what the others have brought, too.
    host.says(command, tag)
    assert host.channel.rejected == [tag]
    assert (other in host.channel.acknowledged) is (command == "ACK")
    assert host.channel.unacked == []


def test_a_cumulative_one_is_for_the_large_ones_of_other_subscriptions_too() -> None:
    host = Host("client")
    host.subscribe("o", "client-individual", 7)
    host.subscribe("c", "client", 8)
    host.comes(large=False)
    large = [host.comes(large=True, by=by) for by in "oc"]
    host.says("ACK", host.comes(large=False))
    host.reject()
    assert host.channel.rejected == large
    assert (host.channel.acknowledged, host.channel.unacked) == ([1, 4], [])


def test_the_acknowledgement_of_one_from_the_history_does_not_take_a_large_one_along() -> None:
    host = Host("client")
    large = host.comes(large=True)
    host.comes(large=False)
    consumer = host.deliveries.consumer(b"T_s@@x")
    assert consumer is not None
    stream = Stream(Audience.PRIVATE, _ROOM)
    missed = Message(UUID(int=5), stream, 5, "ann", datetime(2026, 1, 2, tzinfo=UTC), "chat", "")
    host.deliveries.give(missed, consumer)
    acknowledges = Frame("ACK", (("id", f"T_s@@x@@{Audience.PRIVATE}-5"),))
    assert host.deliveries.handled(acknowledges) == []
    host.reject()
    assert (host.channel.rejected, host.channel.acknowledged) == ([large], [2])


def test_without_a_place_a_cumulative_acknowledgement_waits_with_the_message() -> None:
    host = Host("client")
    host.comes(large=False)
    large = host.comes(large=True)
    host.says("ACK", large)
    assert host.channel.acknowledged == [1]
    host.says("ACK", host.comes(large=False))
    host.says("NACK", host.comes(large=False))
    assert host.channel.unacked == [2, 3, 4]
    host.reject()
    assert (host.channel.rejected, host.channel.acknowledged) == ([large], [1, 3])
    assert host.channel.requeued == [4]
    assert host.deliveries.has_rejected()
    assert not host.deliveries.has_rejected()


def test_acknowledgements_that_wait_are_bounded_and_go_with_their_subscription() -> None:
    host = Host("client")
    host.comes(large=True)
    for _ in range(HELD):
        host.says("ACK", host.comes(large=False))
        host.says("NACK", host.comes(large=False))
    host.reject()
    # What is behind is not acknowledged: it comes again in the next session.
    assert host.channel.unacked == list(range(HELD + 2, 2 * HELD + 2))
    host.comes(large=True)
    host.says("ACK", host.comes(large=False))
    host.deliveries.unsubscribed(Frame("UNSUBSCRIBE", (("id", "s"),)))
    assert host.deliveries.reject() == []


def test_a_commit_is_for_what_is_behind_a_large_one_that_was_moved_meanwhile() -> None:
    host = Host("client")
    state = RelayState("1.2", FakeNotes())
    state.deliveries = host.deliveries
    large, behind = host.comes(large=True), host.comes(large=False)

    def says(command: str, *more: tuple[str, str]) -> None:
        frame = Frame(command, (*more, ("transaction", "t")))
        if state.handled(frame) is None:
            state.sent(frame)

    says("BEGIN")
    says("ACK", ("id", host.name(behind)))
    host.reject()
    assert (host.channel.rejected, host.channel.unacked) == ([large], [behind])
    says("COMMIT")
    for each in state.told():
        host.channel.take(each)
    assert host.channel.acknowledged == [behind]


def test_the_second_large_one_waits_for_its_own_place() -> None:
    host = Host("client-individual")
    first = host.comes(large=True)
    host.reject()
    second = host.comes(large=True)
    host.says("ACK", host.comes(large=False))
    assert host.channel.rejected == [first]
    host.reject()
    assert host.channel.rejected == [first, second]


def test_a_subscription_that_ends_takes_its_messages_with_it() -> None:
    host = Host("client-individual")
    host.comes(large=True)
    host.deliveries.unsubscribed(Frame("UNSUBSCRIBE", (("id", "s"),)))
    assert host.deliveries.reject() == []


@pytest.mark.parametrize("value", ["false", "False"])
def test_what_a_host_discards_is_acknowledged_and_not_parked(value: str) -> None:
    host = Host("client-individual")
    tag = host.comes(large=False)
    host.says("NACK", tag, ("requeue", value))
    assert (host.channel.acknowledged, host.channel.rejected) == ([tag], [])
    again = host.comes(large=False)
    host.says("NACK", again, ("requeue", "true"))
    assert host.channel.requeued == [again]


def test_elsewhere_a_client_may_discard() -> None:
    host = Host("client-individual")
    headers = (("id", "T_o@@x@@1"), ("requeue", "false"))
    frame = Frame("NACK", headers, raw=serialise("NACK", headers))
    assert host.deliveries.without_discarding(frame) is frame
