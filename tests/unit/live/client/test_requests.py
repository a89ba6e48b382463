"""The request that a frame makes."""

from uuid import UUID

import pytest

from broker.protocol.stomp import Frame
from broker.topology import Audience, Stream, Topology
from gateway.domain.message import Importance
from gateway.errors import BadFrame, GatewayError, Invalid, TooLarge
from gateway.live.client.requests import (
    LONGEST_KEY,
    Acknowledge,
    Connect,
    Disconnect,
    Ping,
    Post,
    Renew,
    Request,
    Send,
    Subscribe,
    Transact,
    Unsubscribe,
    read,
)
from gateway.messages.keeping import NOT_KEPT, Keeping

TOPIC = ("destination", "/topic/t.private.9")
ID = "7d444840-9dc0-11d1-b245-5ffdce74fad2"


def ask(command: str, *headers: tuple[str, str], body: bytes = b"") -> Request:
    return read(
        Frame(command, headers, body), version="1.2", topology=Topology("t"), largest_body=1_000_000
    )


@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
def test_connect_offers_versions_heart_beats_and_a_token(command: str) -> None:
    assert ask(
        command,
        ("accept-version", "1.0,1.1,1.2"),
        ("heart-beat", "10000,5000"),
        ("passcode", "jwt"),
    ) == Connect("1.2", (10_000, 5_000), "jwt")


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
def test_an_authorization_header_goes_before_the_passcode(name: str) -> None:
    assert ask("CONNECT", (name, "Bearer jwt"), ("passcode", "other")) == Connect(
        "1.0", (0, 0), "jwt"
    )


def test_an_authorization_that_is_no_bearer_token_is_none() -> None:
    assert ask("CONNECT", ("Authorization", "Basic eA==")) == Connect("1.0", (0, 0), None)


def test_connect_may_say_who_the_page_takes_its_user_for() -> None:
    request = ask("CONNECT", ("interact-user", "김하나"))
    assert isinstance(request, Connect)
    assert request.user == "김하나"


def test_a_token_stays_out_of_the_repr() -> None:
    assert "jwt" not in repr(ask("CONNECT", ("passcode", "jwt")))
    assert "jwt" not in repr(ask("SEND", ("destination", "/gateway/token"), body=b"jwt"))


@pytest.mark.parametrize(
    ("header", "fault"),
    [(("accept-version", "2.0"), "accept-version"), (("heart-beat", "often"), "heart-beat")],
)
def test_a_connect_that_cannot_be_served_says_why(header: tuple[str, str], fault: str) -> None:
    with pytest.raises(BadFrame, match=fault):
        ask("CONNECT", header)


@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE"])
def test_a_destination_is_needed(command: str) -> None:
    with pytest.raises(BadFrame, match=f"{command} needs the header destination"):
        ask(command)


@pytest.mark.parametrize("command", ["SUBSCRIBE", "UNSUBSCRIBE"])
@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_an_empty_id_would_name_one_subscription_here_and_another_at_the_broker(
    command: str, version: str
) -> None:
    frame = Frame(command, (TOPIC, ("id", "")))
    with pytest.raises(BadFrame, match=f"{command} needs the header id"):
        read(frame, version=version, topology=Topology(), largest_body=1_000_000)


@pytest.mark.parametrize("command", ["SUBSCRIBE", "UNSUBSCRIBE"])
def test_only_stomp_1_0_does_without_an_id(command: str) -> None:
    frame = Frame(command, (TOPIC,))
    request = read(frame, version="1.0", topology=Topology(), largest_body=1_000_000)
    assert isinstance(request, Subscribe | Unsubscribe)
    assert request.key == TOPIC[1]
    with pytest.raises(BadFrame, match=f"{command} needs the header id"):
        read(frame, version="1.1", topology=Topology(), largest_body=1_000_000)


def test_a_message_to_a_room_is_for_the_pipeline() -> None:
    request = ask(
        "SEND",
        TOPIC,
        ("id", ID),
        ("type", "question"),
        ("importance", "instant"),
        ("content-type", "application/json;charset=utf-8"),
        body=b'{"a":[1,null]}',
    )
    assert isinstance(request, Post)
    assert request.stream == Stream(Audience.PRIVATE, 9)
    assert (request.id, request.type) == (UUID(ID), "question")
    assert request.importance is Importance.INSTANT
    assert request.body == {"a": [1, None]}


def test_a_message_to_a_room_may_say_how_it_is_kept() -> None:
    headers = (("destination", "/topic/t.public.1"), ("keep", "hand"), ("of", "김"), ("while", "a"))
    request = ask("SEND", *headers)
    assert isinstance(request, Post)
    assert request.kept == Keeping("hand", "김", "a")
    plain = ask("SEND", ("destination", "/topic/t.public.1"))
    assert isinstance(plain, Post)
    assert plain.kept == NOT_KEPT


def test_a_plain_message_is_text_and_guaranteed_and_gets_its_id_later() -> None:
    request = ask("SEND", TOPIC, body="안녕".encode())
    assert isinstance(request, Post)
    assert (request.id, request.body) == (None, "안녕")
    assert request.importance is Importance.GUARANTEED


@pytest.mark.parametrize(
    ("headers", "body", "fault"),
    [
        ((("id", "seven"),), b"", "UUID"),
        ((("importance", "urgent"),), b"", "guaranteed, instant"),
        ((("transaction", "t1"),), b"", "transaction"),
        ((("content-type", "application/json"),), b"{", "JSON"),
        ((("content-type", "application/json"),), b"NaN", "NaN"),
        ((("content-type", "application/json"),), b"[" * 100_000, "JSON"),
        ((), b"\xff", "UTF-8"),
    ],
)
def test_a_message_that_makes_no_sense_says_why(
    headers: tuple[tuple[str, str], ...], body: bytes, fault: str
) -> None:
    with pytest.raises(Invalid, match=fault):
        ask("SEND", TOPIC, *headers, body=body)


def test_a_fresh_token_renews() -> None:
    request = ask("SEND", ("destination", "/gateway/token"), body=b" jwt\n")
    assert isinstance(request, Renew)
    assert request.token == "jwt"


def test_a_ping_asks_for_nothing_but_its_receipt() -> None:
    request = ask("SEND", ("destination", "/gateway/ping"), ("receipt", "r"))
    assert isinstance(request, Ping)
    assert request.frame.get("receipt") == "r"


def test_a_message_elsewhere_stays_as_it_is() -> None:
    assert ask("SEND", ("destination", "/queue/orders"), body=b"\xff\x00") == Send(
        Frame("SEND", (("destination", "/queue/orders"),), b"\xff\x00")
    )


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("ACK", Acknowledge),
        ("NACK", Acknowledge),
        ("BEGIN", Transact),
        ("COMMIT", Transact),
        ("ABORT", Transact),
        ("DISCONNECT", Disconnect),
    ],
)
def test_the_rest_is_named_by_its_command(command: str, kind: type[Request]) -> None:
    assert isinstance(ask(command), kind)


def test_every_refusal_is_an_error_of_the_table() -> None:
    with pytest.raises(GatewayError):
        ask("SUBSCRIBE", ("destination", ""))


@pytest.mark.parametrize("command", ["SUBSCRIBE", "UNSUBSCRIBE"])
def test_an_id_that_every_message_repeats_has_a_limit(command: str) -> None:
    ask(command, TOPIC, ("id", "x" * LONGEST_KEY))
    with pytest.raises(BadFrame, match="500 characters"):
        ask(command, TOPIC, ("id", "x" * (LONGEST_KEY + 1)))


@pytest.mark.parametrize(
    ("destination", "most"),
    [
        ("/topic/t.public.9", 1_000_000),
        ("/topic/t.private.9", 1_000_000),
        ("/gateway/token", 32_768),
    ],
)
def test_a_body_that_is_too_large_is_not_even_parsed(destination: str, most: int) -> None:
    headers = ("destination", destination), ("content-type", "application/json")
    ask("SEND", *headers, body=b"1" + b" " * (most - 1))
    with pytest.raises(TooLarge, match=f"{most + 1} bytes"):
        ask("SEND", *headers, body=b"[" * (most + 1))


def test_a_body_for_the_broker_has_no_other_limit_than_its_frame() -> None:
    assert isinstance(ask("SEND", ("destination", "/queue/x"), body=bytes(100_000)), Send)
