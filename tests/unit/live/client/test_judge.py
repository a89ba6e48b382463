"""Frames that may pass to the broker, and their form."""

import asyncio

import pytest

from broker.protocol.stomp import CLIENT_COMMANDS, Frame, FrameParser, Limits, serialise
from broker.topology import Topology
from gateway.auth.access import AccessRules
from gateway.auth.permissions import Permissions
from gateway.config import Access
from gateway.domain.broker_login import BrokerLogin
from gateway.domain.identity import Identity
from gateway.domain.room import MemberRole, Membership
from gateway.errors import GatewayError, Invalid, Refused, RoomClosed, RoomReplaced, UnknownRoom
from gateway.live.client.judge import ByHub, ByPattern, ByRelay, Judge
from gateway.live.client.requests import Acknowledge, Send, Subscribe, Transact, Unsubscribe
from gateway.live.destinations import parse

TOPOLOGY = Topology("t")


class Rooms:
    """Room 1 is open and has a host and a participant; room 2 is closed; no other exists."""

    async def membership(self, room: int, user: str) -> Membership | None:
        roles = {"hana": MemberRole.HOST, "paul": MemberRole.PARTICIPANT}
        return {
            1: Membership(is_open=True, role=roles.get(user), identity="a1"),
            2: Membership(is_open=False, role=roles.get(user)),
        }.get(room)


PERMISSIONS = Permissions(
    Rooms(),
    AccessRules(
        [
            Access(roles=("service",), subscribe=("/queue/orders.*",), send=("/topic/news.#",)),
            Access(roles=("all",), subscribe=("**",), send=("**",)),
        ]
    ),
)
JUDGE = Judge(PERMISSIONS, TOPOLOGY, shared=False)


def who(user: str, *roles: str) -> Identity:
    return Identity(user, frozenset(roles), 2e9)


def frame(command: str, *headers: tuple[str, str]) -> Frame:
    """As a client would have sent it, `raw` included."""
    parser = FrameParser(Limits(), CLIENT_COMMANDS)
    for event in parser.feed(serialise(command, headers)):
        if isinstance(event, Frame):
            return event
    raise AssertionError(command)


def subscribe(identity: Identity, destination: str, *headers: tuple[str, str]) -> bytes:
    received = frame("SUBSCRIBE", ("destination", destination), ("id", "s"), *headers)
    request = Subscribe("s", parse(destination, TOPOLOGY), received)
    passage = asyncio.run(JUDGE.subscribe(identity, request))
    assert isinstance(passage, ByRelay)
    return passage.frame.raw


@pytest.mark.parametrize(
    ("user", "destination"),
    [
        ("paul", "/topic/t.public.1"),
        ("hana", "/topic/t.public.1"),
        ("hana", "/topic/t.private.1"),
    ],
)
def test_a_room_topic_passes_for_who_may_follow_it(user: str, destination: str) -> None:
    assert (
        subscribe(who(user), destination, ("ack", "client"), ("receipt", "r"))
        == f"SUBSCRIBE\ndestination:{destination}\nid:s\nack:client\nreceipt:r\n\n\0".encode()
    )


@pytest.mark.parametrize("kind", ["/queue/", "/amq/queue/"])
def test_the_private_queue_is_never_declared_by_a_client(kind: str) -> None:
    passed = subscribe(who("hana"), f"{kind}t.private.1", ("prefetch-count", "10"))
    assert passed == b"SUBSCRIBE\ndestination:/amq/queue/t.private.1\nid:s\nprefetch-count:10\n\n\0"


@pytest.mark.parametrize(
    ("user", "destination", "error"),
    [
        ("paul", "/topic/t.private.1", Refused),
        ("paul", "/queue/t.private.1", Refused),
        ("eve", "/topic/t.public.1", Refused),
        ("hana", "/topic/t.public.3", UnknownRoom),
        ("hana", "/topic/t.public.2", RoomClosed),
        ("hana", "/topic/t.public.*", Refused),
        ("hana", "/topic/#", Refused),
        ("hana", "/exchange/amq.topic/t.public.1", Refused),
        ("hana", "/temp-queue/x", Refused),
        ("hana", "/queue/orders.1", Refused),
    ],
)
def test_nobody_else_gets_in(user: str, destination: str, error: type[GatewayError]) -> None:
    with pytest.raises(error):
        subscribe(who(user), destination)


@pytest.mark.parametrize(
    "header",
    [
        ("durable", "true"),
        ("persistent", "true"),
        ("auto-delete", "false"),
        ("exclusive", "false"),
        ("x-queue-name", "t.private.1"),
        ("x-queue-type", "stream"),
        ("X-queue-name".lower(), "q"),
        ("reply-to", "/temp-queue/x"),
    ],
)
def test_queue_headers_are_refused(header: tuple[str, str]) -> None:
    with pytest.raises(Refused, match="queue headers"):
        subscribe(who("hana"), "/topic/t.public.1", header)
    with pytest.raises(Refused):
        subscribe(who("s", "service"), "/queue/orders.1", header)
    with pytest.raises(Refused):
        unsubscribe(who("hana"), header)


def test_of_a_room_subscription_only_known_headers_pass_and_each_once() -> None:
    passed = subscribe(who("paul"), "/topic/t.public.1", ("selector", "x"), ("id", "second"))
    assert passed == b"SUBSCRIBE\ndestination:/topic/t.public.1\nid:s\n\n\0"


def test_frames_that_a_rule_opens_pass_byte_for_byte() -> None:
    received = frame("SUBSCRIBE", ("destination", "/queue/orders.1"), ("id", "s"), ("odd", "a:b"))
    request = Subscribe("s", parse("/queue/orders.1", TOPOLOGY), received)
    assert asyncio.run(JUDGE.subscribe(who("s", "service"), request)) == ByRelay(received)


@pytest.mark.parametrize(
    "destination",
    ["/topic/t.public.1", "/topic/t.*.1", "/temp-queue/x", "/exchange/e/#", "/queue/t.private.1"],
)
def test_everything_means_everything(destination: str) -> None:
    assert b"x-queue-name:q" in subscribe(who("a", "all"), destination, ("x-queue-name", "q"))


def unsubscribe(identity: Identity, *headers: tuple[str, str], key: str = "/topic/x") -> bytes:
    received = frame("UNSUBSCRIBE", ("id", "s"), *headers)
    return JUDGE.unsubscribe(identity, Unsubscribe("s", parse(key, TOPOLOGY), received)).raw


def test_an_unsubscribe_passes_with_the_name_that_the_broker_knows() -> None:
    assert unsubscribe(who("paul")) == b"UNSUBSCRIBE\nid:s\n\n\0"
    headers = (("destination", "/queue/t.private.1"),)
    request = Unsubscribe(
        "/queue/t.private.1",
        parse("/queue/t.private.1", TOPOLOGY),
        frame("UNSUBSCRIBE", *headers),
    )
    assert (
        JUDGE.unsubscribe(who("hana"), request).raw
        == b"UNSUBSCRIBE\ndestination:/amq/queue/t.private.1\n\n\0"
    )


def test_a_user_who_may_do_everything_may_delete_a_durable_subscription() -> None:
    assert b"durable:true" in unsubscribe(who("a", "all"), ("durable", "true"))


def send(identity: Identity, destination: str, *headers: tuple[str, str]) -> bytes:
    return JUDGE.send(identity, Send(frame("SEND", ("destination", destination), *headers))).raw


def test_a_send_passes_where_a_rule_opens_it() -> None:
    assert send(who("s", "service"), "/topic/news.kr.seoul", ("odd", "1")).endswith(b"odd:1\n\n\0")
    assert send(who("a", "all"), "/queue/any", ("reply-to", "/temp-queue/x"))


@pytest.mark.parametrize(
    ("roles", "destination", "header"),
    [
        ((), "/topic/news.kr", ("odd", "1")),
        (("admin", "host"), "/topic/news.kr", ("odd", "1")),
        (("service",), "/topic/other", ("odd", "1")),
        (("service",), "/queue/orders.1", ("odd", "1")),
        (("service",), "/topic/news.kr", ("reply-to", "/temp-queue/x")),
        (("service",), "/topic/news.kr", ("transaction", "t")),
    ],
)
def test_a_send_elsewhere_is_refused(
    roles: tuple[str, ...], destination: str, header: tuple[str, str]
) -> None:
    with pytest.raises(Refused, match=destination):
        send(who("s", *roles), destination, header)


def test_acknowledgements_pass_and_transactions_only_with_everything() -> None:
    ack = frame("ACK", ("id", "1"))
    begin = frame("BEGIN", ("transaction", "t"))
    ack_in_transaction = frame("ACK", ("id", "1"), ("transaction", "t"))
    assert JUDGE.transact(who("hana"), Acknowledge(ack)) == ack
    assert JUDGE.transact(who("a", "all"), Transact(begin)) == begin
    for request in (Transact(begin), Acknowledge(ack_in_transaction)):
        with pytest.raises(Refused, match="transactions"):
            JUDGE.transact(who("s", "service"), request)


def test_a_rule_may_let_a_stranger_publish_to_a_topic_directly() -> None:
    received = frame("SEND", ("destination", "/topic/t.public.1"))
    assert JUDGE.opens_topic(who("a", "all"), received)
    assert not JUDGE.opens_topic(who("eve"), received)


def resuming(after: str) -> int | None:
    destination = "/topic/t.public.1"
    headers = (("destination", destination), ("id", "s"), ("resume-after", after))
    request = Subscribe("s", parse(destination, TOPOLOGY), frame("SUBSCRIBE", *headers))
    passage = asyncio.run(Judge(PERMISSIONS, TOPOLOGY, shared=True).subscribe(who("hana"), request))
    assert isinstance(passage, ByHub)
    return passage.resume_after


def test_a_client_resumes_after_a_number_in_plain_digits() -> None:
    assert [resuming(after) for after in ("0", "7", "9" * 18)] == [0, 7, int("9" * 18)]


@pytest.mark.parametrize(
    "after",
    ["", "-1", "+1", "007", " 1", "1.0", "1_0", "１", "٣", "9" * 19, "9" * 60, "9" * 5000],
)
def test_any_other_place_to_resume_at_is_refused_and_told_what_would_be_right(after: str) -> None:
    with pytest.raises(Invalid, match="must be the last seq that you have, or 0") as refusal:
        resuming(after)
    assert len(refusal.value.detail) < 200
    assert f"resume-after:{after[:40]}: must" in refusal.value.detail


@pytest.mark.parametrize(
    ("shared", "destination", "ack"),
    [
        (False, "/topic/t.public.1", "auto"),
        (True, "/topic/t.public.1", "client"),
        (True, "/queue/t.private.1", "auto"),
    ],
)
def test_topics_that_the_hub_does_not_serve_cannot_be_resumed(
    shared: bool, destination: str, ack: str
) -> None:
    headers = (("destination", destination), ("id", "s"), ("ack", ack), ("resume-after", "7"))
    request = Subscribe("s", parse(destination, TOPOLOGY), frame("SUBSCRIBE", *headers))
    with pytest.raises(Invalid, match="resume-after is for topics"):
        asyncio.run(Judge(PERMISSIONS, TOPOLOGY, shared=shared).subscribe(who("hana"), request))


def with_state(
    *headers: tuple[str, str], destination: str = "/topic/t.public.1", shared: bool = True
) -> bool:
    given = (("destination", destination), ("id", "s"), *headers)
    request = Subscribe("s", parse(destination, TOPOLOGY), frame("SUBSCRIBE", *given))
    judge = Judge(PERMISSIONS, TOPOLOGY, shared=shared)
    passage = asyncio.run(judge.subscribe(who("hana"), request))
    return isinstance(passage, ByHub) and passage.state


def test_a_client_begins_with_the_kept_state_if_it_says_so() -> None:
    assert with_state(("state", "true"))
    assert with_state(("state", "true"), ("ack", "auto"), destination="/topic/t.private.1")
    assert not with_state()
    assert not with_state(("resume-after", "7"))


@pytest.mark.parametrize("value", ["", "false", "True", "1", "x" * 5000])
def test_any_other_word_about_the_state_is_refused(value: str) -> None:
    with pytest.raises(Invalid, match="must be true, or left out") as refusal:
        with_state(("state", value))
    assert len(refusal.value.detail) < 200


def test_the_state_and_a_place_to_resume_at_exclude_each_other() -> None:
    with pytest.raises(Invalid, match="exclude each other"):
        with_state(("state", "true"), ("resume-after", "7"))


@pytest.mark.parametrize(
    ("shared", "destination", "ack"),
    [
        (False, "/topic/t.public.1", "auto"),
        (True, "/topic/t.public.1", "client"),
        (True, "/queue/t.private.1", "auto"),
    ],
)
def test_where_the_hub_does_not_serve_there_is_no_state(
    shared: bool, destination: str, ack: str
) -> None:
    with pytest.raises(Invalid, match="state is for topics"):
        with_state(("ack", ack), ("state", "true"), destination=destination, shared=shared)


def test_only_a_reply_to_that_names_a_temp_queue_shapes_one() -> None:
    service = who("s", "service")
    assert send(service, "/topic/news.kr", ("reply-to", "/queue/answers"))
    assert send(service, "/topic/news.kr", ("odd", "/temp-queue/x"))


def outsider(*, vhost: str | None = None) -> Identity:
    login = BrokerLogin("hana", "secret", vhost=vhost or "/", mark=b"", payer="1")
    return Identity("hana", frozenset(), 2e9, login=login, vhost=vhost)


@pytest.mark.parametrize("destination", ["/topic/news.#", "/exchange/x/y", "/queue/q", "nonsense"])
def test_what_rabbitmqs_users_subscribe_to_passes_unchanged(destination: str) -> None:
    headers = (("x-queue-name", "mine"), ("durable", "true"), ("ack", "client"))
    raw = subscribe(outsider(), destination, *headers)
    assert raw == frame("SUBSCRIBE", ("destination", destination), ("id", "s"), *headers).raw


@pytest.mark.parametrize("destination", ["/topic/t.public.1", "/topic/#", "/queue/t.private.1"])
def test_rabbitmqs_users_reach_no_room_whoever_has_their_name(destination: str) -> None:
    with pytest.raises(Refused):
        subscribe(outsider(), destination)
    with pytest.raises(Refused):
        JUDGE.send(outsider(), Send(frame("SEND", ("destination", "/queue/t.private.1"))))
    with pytest.raises(Refused):
        JUDGE.opens_topic(outsider(), frame("SEND", ("destination", "/topic/t.public.1")))
    unsubscribe = frame("UNSUBSCRIBE", ("id", "s"), ("x-queue-name", "t.private.1"))
    with pytest.raises(Refused):
        JUDGE.unsubscribe(outsider(), Unsubscribe("s", None, unsubscribe))


def test_in_another_virtual_host_there_are_no_rooms_to_protect() -> None:
    assert subscribe(outsider(vhost="billing"), "/topic/#")


def test_rabbitmqs_users_have_transactions_and_queue_headers() -> None:
    begin = Transact(frame("BEGIN", ("transaction", "t")))
    assert JUDGE.transact(outsider(), begin) is begin.frame
    sent = Send(frame("SEND", ("destination", "/queue/q"), ("transaction", "t"), ("x-a", "b")))
    assert JUDGE.send(outsider(), sent) is sent.frame
    gone = frame("UNSUBSCRIBE", ("id", "s"), ("durable", "true"))
    assert JUDGE.unsubscribe(outsider(), Unsubscribe("s", None, gone)) is gone


@pytest.mark.parametrize("destination", ["/topic/t.public.1", "/queue/t.private.1"])
def test_who_means_another_room_of_this_number_gets_nothing_of_it(destination: str) -> None:
    hana = who("hana")
    assert b"room-identity" not in subscribe(hana, destination, ("room-identity", "a1"))
    with pytest.raises(RoomReplaced):
        subscribe(hana, destination, ("room-identity", "b2"))
    # Whether it is another one is no stranger's business.
    with pytest.raises(Refused):
        subscribe(who("mallory"), destination, ("room-identity", "b2"))


SHARING = Judge(
    Permissions(
        Rooms(),
        AccessRules(
            [
                Access(roles=("service",), subscribe=("/topic/#", "/exchange/x/#")),
                Access(roles=("all",), subscribe=("**",)),
                Access(roles=("apart",), subscribe=("/topic/#",), shared=False),
            ]
        ),
    ),
    TOPOLOGY,
    shared=True,
    shares_with_outsiders=True,
)


def passage(
    identity: Identity, *headers: tuple[str, str], judge: Judge = SHARING
) -> ByHub | ByPattern | ByRelay:
    received = frame("SUBSCRIBE", *headers)
    destination = parse(received.get("destination") or "", TOPOLOGY)
    return asyncio.run(judge.subscribe(identity, Subscribe("s", destination, received)))


@pytest.mark.parametrize(
    ("destination", "pattern"),
    [
        ("/topic/news.#", ("amq.topic", "news.#")),
        ("/topic/a%2Fb.*", ("amq.topic", "a/b.*")),
        ("/exchange/x/k", ("x", "k")),
        ("/topic/t.public.1", ("amq.topic", "t.public.1")),
    ],
)
@pytest.mark.parametrize("ack", [(), (("ack", "auto"),)])
def test_the_hub_serves_what_is_the_same_for_all(
    destination: str, pattern: tuple[str, str], ack: tuple[tuple[str, str], ...]
) -> None:
    found = passage(who("robot", "service"), ("id", "s"), ("destination", destination), *ack)
    assert isinstance(found, ByPattern)
    assert found.pattern == pattern
    assert found.frame.get("destination") == destination


def test_an_exchange_may_be_without_a_key() -> None:
    found = passage(who("robot", "all"), ("id", "s"), ("destination", "/exchange/fan"))
    assert isinstance(found, ByPattern)
    assert found.pattern == ("fan", "")


@pytest.mark.parametrize(
    "headers",
    [
        (("destination", "/queue/news"), ("id", "s")),
        (("destination", "/topic/100%"), ("id", "s")),
        (("destination", "/topic/news"), ("id", "s"), ("ack", "client")),
        (("destination", "/topic/news"), ("id", "s"), ("x-queue-name", "q")),
        (("destination", "/topic/news"), ("id", "s"), ("durable", "true")),
        (("destination", "/topic/news"), ("id", "s"), ("selector", "x = 1")),
        (("destination", "/topic/news"), ("id", "s"), ("prefetch-count", "x")),
        (("destination", "/topic/news"),),
        # RabbitMQ refuses them: gateways speak there.
        (("destination", "/topic/t.gateways"), ("id", "s")),
        (("destination", "/exchange/amq.topic/t.gateways.x"), ("id", "s")),
    ],
)
def test_what_is_one_subscriber_s_own_has_a_relay(headers: tuple[tuple[str, str], ...]) -> None:
    assert isinstance(passage(who("robot", "all"), *headers), ByRelay)


def test_a_rule_and_the_whole_configuration_can_say_that_nothing_is_shared() -> None:
    wanted = (("id", "s"), ("destination", "/topic/news"))
    assert isinstance(passage(who("robot", "apart"), *wanted), ByRelay)
    assert isinstance(passage(who("robot", "all"), *wanted, judge=JUDGE), ByRelay)


def test_a_user_of_rabbitmq_shares_topics_and_queues_are_its_own() -> None:
    login = BrokerLogin("app", "secret", vhost="/", mark=b"", payer="app 1")
    app = Identity("app", frozenset(), 2e9, login=login)
    found = passage(app, ("id", "s"), ("destination", "/topic/news"))
    assert isinstance(found, ByPattern)
    assert isinstance(passage(app, ("id", "s"), ("destination", "/queue/news")), ByRelay)
    apart = Judge(PERMISSIONS, TOPOLOGY, shared=True)
    wanted = (("id", "s"), ("destination", "/topic/news"))
    assert isinstance(passage(app, *wanted, judge=apart), ByRelay)


@pytest.mark.parametrize("roles", [("all",), ()])
def test_the_hub_serves_the_virtual_host_of_the_rooms_only(roles: tuple[str, ...]) -> None:
    login = None if roles else BrokerLogin("app", "secret", vhost="b", mark=b"", payer="app 1")
    elsewhere = Identity("app", frozenset(roles), 2e9, login=login, vhost="b")
    judge = Judge(
        Permissions(
            Rooms(), AccessRules([Access(roles=("all",), vhosts=("b",), subscribe=("**",))])
        ),
        TOPOLOGY,
        shared=True,
        shares_with_outsiders=True,
    )
    wanted = (("id", "s"), ("destination", "/topic/news"))
    assert isinstance(passage(elsewhere, *wanted, judge=judge), ByRelay)
