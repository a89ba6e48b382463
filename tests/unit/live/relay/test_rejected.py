"""Messages that are too large are rejected, and nothing else, whatever the client acknowledges."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.protocol.stomp import CLIENT_COMMANDS, Frame, FrameParser, Limits, serialise
from broker.protocol.websocket import Opcode, build
from gateway.errors import BadFrame
from gateway.live.relay.acknowledgements import Deliveries
from tests.unit.live.relay.fakes import FakeNotes

_ROOM = 42
_QUEUE = "/amq/queue/p.private.42"


@dataclass
class Channel:
    """RabbitMQ's channel: what is not acknowledged, and what became of the rest. It ends for a tag
    that is not there, and a cumulative one is for all before it (rabbit_channel:collect_acks/5)."""

    cumulative: bool
    unacked: list[int] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    rejected: list[int] = field(default_factory=list)
    requeued: list[int] = field(default_factory=list)

    def take(self, data: bytes) -> None:
        for each in FrameParser(Limits(), CLIENT_COMMANDS).feed(data):
            assert isinstance(each, Frame)
            tag = int((each.get("id") or each.get("message-id") or "").rpartition("@@")[2])
            assert tag in self.unacked, f"PRECONDITION_FAILED - unknown delivery tag {tag}"
            concerned = [
                one for one in self.unacked if one == tag or (self.cumulative and one < tag)
            ]
            self.unacked = [one for one in self.unacked if one not in concerned]
            if each.command == "ACK":
                self.acknowledged += concerned
            elif each.get("requeue") == "false":
                self.rejected += concerned
            else:
                self.requeued += concerned


class Host:
    """A session with one subscription to a private queue, on such a channel."""

    def __init__(self, ack: str, version: str = "1.2") -> None:
        self.channel = Channel(cumulative=ack == "client")
        self.version = version
        self.deliveries = Deliveries("x", version, FakeNotes())
        headers = (("id", "s"), ("destination", _QUEUE), ("ack", ack))
        self.deliveries.subscribed(Frame("SUBSCRIBE", headers), _ROOM)

    def comes(self, *, large: bool) -> int:
        self.deliveries.last += 1
        tag = self.deliveries.last
        head = f"MESSAGE\nsubscription:s\nmessage-id:{self.name(tag)}\n\n".encode()
        self.deliveries.newest = head
        self.channel.unacked.append(tag)
        if large:
            assert self.deliveries.too_large(Frame("MESSAGE", (("message-id", self.name(tag)),)))
        else:
            assert self.deliveries.came(head) is None
        return tag

    def name(self, tag: int) -> str:
        return f"T_s@@x@@{tag}"

    def says(self, command: str, tag: int, *more: tuple[str, str]) -> None:
        """The client's word, and what reaches RabbitMQ of it, as Conversation.send has it."""
        headers = ((("id", self.name(tag))), *more)
        if self.version != "1.2":
            headers = (("message-id", self.name(tag)), ("subscription", "s"), *more)
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

    def reject(self) -> None:
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
        host.reject()

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


def test_between_messages_of_another_subscription_a_cumulative_one_is_not_rejected() -> None:
    host = Host("client")
    other = (("id", "o"), ("destination", "/amq/queue/p.private.7"), ("ack", "client-individual"))
    host.deliveries.subscribed(Frame("SUBSCRIBE", other), 7)
    # The other subscription's message, which a NACK of the next one would be for, too.
    host.deliveries.last += 1
    host.channel.unacked.append(1)
    tag = host.comes(large=True)
    host.reject()
    assert host.channel.rejected == []
    host.says("ACK", tag)
    assert host.channel.rejected == []


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
