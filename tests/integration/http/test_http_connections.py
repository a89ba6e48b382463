"""The visible state of a connection: its user, its address, and its traffic in both directions."""

import asyncio
import time
from collections.abc import Callable

import pytest
from tornado.websocket import websocket_connect

from broker.protocol.stomp import Frame, serialise
from gateway.assembly import Gateway
from gateway.config import Config
from gateway.http.listeners import Listener
from gateway.live.client.registry import ConnectionState
from tests.integration.http.conftest import token

_TIMEOUT = 10


def state(gateway: Gateway) -> ConnectionState:
    """Of the only connection."""
    (connection,) = gateway.live.registry
    return connection.snapshot()


def framed(payloads: list[bytes], *, mask: int) -> int:
    """Bytes of as many small frames (RFC 6455, section 5.2)."""
    return sum(2 + 2 * (len(payload) > 125) + mask + len(payload) for payload in payloads)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


@pytest.mark.gen_test(timeout=_TIMEOUT)
async def test_a_connection_is_counted_from_its_first_frame_on(
    gateway: Gateway, public: Listener, settings: Config, room: str
) -> None:
    number = int(room.rpartition("/")[2])
    key = f"acdm.mo.interact.public.{number}"
    began = time.time()
    client = await websocket_connect(
        f"{public.url.replace('http', 'ws')}/ws", subprotocols=["v12.stomp"]
    )
    fresh = state(gateway)
    assert (fresh.user, fresh.expires_at, fresh.frames_in, fresh.bytes_in) == (None, None, 0, 0)

    connect = serialise(
        "CONNECT", [("accept-version", "1.2"), ("passcode", token(settings, "bob", lifetime=60))]
    )
    subscribe = serialise("SUBSCRIBE", [("id", "s"), ("destination", f"/topic/{key}")])
    await client.write_message(connect, binary=True)
    answer = await client.read_message()
    assert isinstance(answer, str)
    await client.write_message(b"\n" + subscribe, binary=True)
    await until(lambda: len(gateway.live.hub) == 1)
    (topic,) = gateway.live.hub
    topic.subscribed(0)
    await until(lambda: any(len(topic.broadcaster) for topic in gateway.live.hub))
    heard = []
    for n in range(3):
        topic.message(0, Frame("MESSAGE", (("amqp-message-id", str(n)),), b"hello"))
    for _ in range(3):
        message = await client.read_message()
        assert isinstance(message, str)
        heard.append(message)

    now = state(gateway)
    assert (now.user, now.rooms, now.node, now.backlog) == ("bob", (number,), None, 0)
    assert (now.frames_in, now.frames_out) == (2, 1 + 3)
    assert now.bytes_in == framed([connect, b"\n" + subscribe], mask=4)
    assert now.bytes_out == framed([frame.encode() for frame in (answer, *heard)], mask=0)
    assert began - 1 <= now.since <= now.heard_at <= time.time()
    assert now.expires_at == pytest.approx(began + 60, abs=2)
    client.close()
    await until(lambda: not len(gateway.live.registry))
