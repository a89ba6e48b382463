"""Methods as frames: pamqp reads what we write, and we read what it writes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, frame

from broker.protocol import amqp_methods as methods
from broker.protocol.amqp_methods import OVERHEAD, AmqpError, Method, Value, decode, encode


def payload(value: Any, channel: int = 1) -> bytes:
    """What pamqp puts into the frame of a method."""
    marshalled: bytes = frame.marshal(value, channel)
    return marshalled[methods.FRAME.size : -1]


ARGUMENTS: dict[str, Any] = {
    "x-queue-type": "classic",
    "x-max-length": 50_000,
    "x-yes": True,
    "in": {"no": False},
}


@pytest.mark.parametrize(
    ("method", "values", "expected"),
    [
        (
            methods.CONNECTION_START_OK,
            {"client_properties": ARGUMENTS, "mechanism": "PLAIN", "response": b"\0a\0\xff"},
            None,
        ),
        (
            methods.CONNECTION_TUNE_OK,
            {"channel_max": 2, "frame_max": 131_072, "heartbeat": 30},
            commands.Connection.TuneOk(2, 131_072, 30),
        ),
        (
            methods.CONNECTION_OPEN,
            {"virtual_host": "학교"},
            commands.Connection.Open("학교", "", False),
        ),
        (methods.CONNECTION_CLOSE_OK, {}, commands.Connection.CloseOk()),
        (methods.CHANNEL_OPEN, {}, commands.Channel.Open),
        (methods.CHANNEL_FLOW, {"active": True}, commands.Channel.Flow(True)),
        (
            methods.QUEUE_DECLARE,
            {"queue": "q", "exclusive": True, "arguments": ARGUMENTS},
            commands.Queue.Declare(
                0,
                "q",
                passive=False,
                durable=False,
                exclusive=True,
                auto_delete=False,
                nowait=False,
                arguments=ARGUMENTS,
            ),
        ),
        (
            methods.QUEUE_BIND,
            {"queue": "q", "exchange": "amq.topic", "routing_key": "a.b"},
            commands.Queue.Bind(0, "q", "amq.topic", "a.b", False, {}),
        ),
        (
            methods.EXCHANGE_DECLARE,
            {"exchange": "e", "type": "fanout", "auto_delete": True},
            commands.Exchange.Declare(0, "e", "fanout", auto_delete=True),
        ),
        (
            methods.EXCHANGE_DECLARE,
            {"exchange": "e", "passive": True},
            commands.Exchange.Declare(0, "e", "", passive=True),
        ),
        (
            methods.EXCHANGE_DELETE,
            {"exchange": "e"},
            commands.Exchange.Delete(0, "e"),
        ),
        (
            methods.EXCHANGE_BIND,
            {"destination": "e", "source": "amq.topic", "routing_key": "a.b"},
            commands.Exchange.Bind(0, "e", "amq.topic", "a.b", False, {}),
        ),
        (
            methods.EXCHANGE_UNBIND,
            {"destination": "e", "source": "amq.topic", "routing_key": "a.b"},
            commands.Exchange.Unbind(0, "e", "amq.topic", "a.b", False, {}),
        ),
        (methods.QUEUE_PURGE, {"queue": "q"}, commands.Queue.Purge(0, "q")),
        (
            methods.BASIC_CONSUME,
            {"queue": "q", "consumer_tag": "c", "no_ack": True},
            commands.Basic.Consume(0, "q", "c", False, True, False, False, {}),
        ),
    ],
)
def test_pamqp_reads_what_we_write(method: Method, values: dict[str, Value], expected: Any) -> None:
    written = encode(7, method, **values)
    consumed, channel, frame_read = frame.unmarshal(written)
    read: Any = frame_read
    assert (consumed, channel) == (len(written), 7)
    if expected is None:
        assert dict(read)["client_properties"] == ARGUMENTS
        assert written.count(b"\0a\0\xff") == 1
    elif isinstance(expected, type):
        assert isinstance(read, expected)
    else:
        assert type(read) is type(expected)
        assert dict(read) == dict(expected)


@pytest.mark.parametrize(
    ("sent", "method", "values"),
    [
        (
            commands.Connection.Tune(2047, 131_072, 60),
            methods.CONNECTION_TUNE,
            {"channel_max": 2047, "frame_max": 131_072, "heartbeat": 60},
        ),
        (commands.Connection.OpenOk(), methods.CONNECTION_OPEN_OK, {"reserved_1": ""}),
        (
            commands.Connection.Close(320, "CONNECTION_FORCED", 0, 0),
            methods.CONNECTION_CLOSE,
            {"reply_code": 320, "reply_text": "CONNECTION_FORCED", "class_id": 0, "method_id": 0},
        ),
        (commands.Channel.FlowOk(True), methods.CHANNEL_FLOW_OK, {"active": True}),
        (commands.Channel.OpenOk(), methods.CHANNEL_OPEN_OK, {"reserved_1": "0"}),
        (
            commands.Queue.DeclareOk("q", 3, 1),
            methods.QUEUE_DECLARE_OK,
            {"queue": "q", "message_count": 3, "consumer_count": 1},
        ),
        (commands.Queue.BindOk(), methods.QUEUE_BIND_OK, {}),
        (commands.Queue.PurgeOk(7), methods.QUEUE_PURGE_OK, {"message_count": 7}),
        (commands.Exchange.DeclareOk(), methods.EXCHANGE_DECLARE_OK, {}),
        (commands.Exchange.DeleteOk(), methods.EXCHANGE_DELETE_OK, {}),
        (commands.Exchange.BindOk(), methods.EXCHANGE_BIND_OK, {}),
        (commands.Exchange.UnbindOk(), methods.EXCHANGE_UNBIND_OK, {}),
        (commands.Basic.ConsumeOk("c"), methods.BASIC_CONSUME_OK, {"consumer_tag": "c"}),
        (
            commands.Basic.Cancel("c", True),
            methods.BASIC_CANCEL,
            {"consumer_tag": "c", "no_wait": True},
        ),
    ],
)
def test_we_read_what_pamqp_writes(sent: Any, method: Method, values: dict[str, Value]) -> None:
    assert decode(payload(sent)) == (method, values)
    for cut in range(len(payload(sent))):
        with pytest.raises(AmqpError):
            decode(payload(sent)[:cut])
    with pytest.raises(AmqpError, match="bytes instead of"):
        decode(payload(sent) + b"\0")


def test_the_properties_of_a_server_are_passed_over() -> None:
    start = commands.Connection.Start(0, 9, {"capabilities": {"x": True}}, "PLAIN", "en_US")
    method, values = decode(payload(start, 0))
    assert method is methods.CONNECTION_START
    assert (values["mechanisms"], values["locales"]) == ("PLAIN", "en_US")


def test_a_method_that_no_consumer_may_get_is_an_error() -> None:
    with pytest.raises(AmqpError, match=r"unexpected method 60\.50"):
        decode(payload(commands.Basic.Return(312, "NO_ROUTE", "", "k")))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_method_or_an_error(data: bytes) -> None:
    for method in methods.RECEIVED.values():
        try:
            found, _ = decode(b"".join(n.to_bytes(2, "big") for n in method.numbers) + data)
        except AmqpError:
            continue
        assert found is method


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(ValueError, match="short string has 255 at most"):
        encode(1, methods.QUEUE_BIND, routing_key="x" * 256)
    with pytest.raises(ValueError, match=r"queue\.bind has no field key"):
        encode(1, methods.QUEUE_BIND, key="x")
    with pytest.raises(TypeError, match="a shortstr cannot be 7"):
        encode(1, methods.QUEUE_BIND, queue=7)
    assert len(encode(0, methods.CONNECTION_CLOSE_OK)) == OVERHEAD + 4
