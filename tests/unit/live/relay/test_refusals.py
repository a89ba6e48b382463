"""The meaning of RabbitMQ's ERROR frames, and the part of them that is passed on."""

import pytest

from broker.protocol.stomp import Frame
from gateway.errors import BadFrame, BrokerRefused, BrokerUnavailable, GatewayError
from gateway.live.relay.refusals import meaning, public

#: As RabbitMQ 3.10.8 and 4.3.6 write them.
_TEXTS: list[tuple[str, str, type[GatewayError]]] = [
    ("Server cancelled subscription", "The server has canceled", BrokerUnavailable),
    ("not_found", "NOT_FOUND - no exchange 'nope' in vhost '/'\n", BrokerRefused),
    ("access_refused", "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused", BrokerRefused),
    ("Invalid header", "'message-id' is not allowed on 'SEND'.\n", BadFrame),
    ("Bad transaction", 'Invalid transaction identifier: "x"\n', BadFrame),
    ("Processing error", "Processing error", BadFrame),
    ("precondition_failed", "PRECONDITION_FAILED - invalid expiration 'abc'", BadFrame),
    (
        "not_found",
        "NOT_FOUND - home node 'r1@host' of durable queue 'q' in vhost '/' is down or inaccessible",
        BrokerUnavailable,
    ),
    ("internal_error", "INTERNAL_ERROR", BrokerUnavailable),
]


@pytest.mark.parametrize(("message", "body", "kind"), _TEXTS)
def test_each_kind_has_its_close_code_and_keeps_its_reason(
    message: str, body: str, kind: type[GatewayError]
) -> None:
    error = meaning(Frame("ERROR", (("message", message),), body.encode()))
    assert type(error) is kind
    if kind is not BrokerUnavailable:
        assert message in error.detail
        assert body.strip()[:20] in error.detail


def test_a_queue_that_was_given_before_may_come_back_but_no_permission() -> None:
    gone = Frame("ERROR", (("message", "not_found"),), b"NOT_FOUND - no queue 'q' in vhost '/'")
    assert type(meaning(gone)) is BrokerRefused
    assert type(meaning(gone, returning=True)) is BrokerUnavailable
    locked = Frame("ERROR", (("message", "resource_locked"),), b"RESOURCE_LOCKED - q")
    assert type(meaning(locked, returning=True)) is BrokerUnavailable
    refused = Frame("ERROR", (("message", "access_refused"),), b"ACCESS_REFUSED - q")
    assert type(meaning(refused, returning=True)) is BrokerRefused


def test_what_passes_says_what_rabbitmq_has_done() -> None:
    cancelled = Frame("ERROR", (("message", "Server cancelled subscription"),), b"the server has")
    assert meaning(cancelled).detail == "the broker cancelled a subscription"
    forced = Frame("ERROR", (("message", "connection_forced"),), b"by the operator")
    assert meaning(forced).detail == "RabbitMQ: connection_forced: by the operator"


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("home node 'r1@host-7.lan' of durable queue 'q'", "home a node of durable queue 'q'"),
        (
            "refused for user 'paul', backend rabbit_auth_backend_http returned an error: "
            '{500,"secret"}',
            "refused for user 'paul'",
        ),
        ("process <0.1234.0> died on <r1@host.17.0.0>", "process … died on …"),
    ],
)
def test_nodes_and_back_ends_stay_here(body: str, left: str) -> None:
    frame = Frame("ERROR", (("message", "not_found"), ("receipt-id", "7")), body.encode())
    sent = public(frame)
    assert sent is not None
    assert left.encode() in sent
    assert b"receipt-id:7" in sent
    assert left in meaning(frame).detail


@pytest.mark.parametrize("user", ["paul", "paul@school.example"])
def test_all_else_passes_as_it_is(user: str) -> None:
    body = f"access to queue 'node' in vhost '/' refused for user '{user}'"
    assert public(Frame("ERROR", (("message", "access_refused"),), body.encode())) is None
