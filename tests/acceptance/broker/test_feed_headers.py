"""A feed gives a message the same STOMP headers as RabbitMQ's own STOMP plugin does."""

import asyncio
from collections import deque
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pika
import pytest

from broker.feeds.connection import Connection, open_connection
from broker.feeds.session import QueueSession
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.protocol.amqp_deliveries import Delivery, Received
from broker.protocol.amqp_properties import stomp_headers
from broker.protocol.stomp import SERVER_COMMANDS, Frame, FrameParser, Headers, Limits, serialise
from broker.protocol.websocket import Data, MessageReader
from broker.topology import DEFAULT_PREFIX, EXCHANGE, Topology
from broker.webstomp.session import WebStompSession, open_session
from devenv.cluster import Cluster
from tests.acceptance.broker_view import amqp

pytestmark = pytest.mark.cluster

_KEY = f"{DEFAULT_PREFIX}.public.headers"
_QUEUE = Topology().feed_queue("test", 0, "headers")
#: Headers about the subscription, which a feed has none of.
_OF_THE_SUBSCRIPTION = ("subscription", "destination", "message-id", "redelivered")
_TIMEOUT = 30

_EVERY_PROPERTY: dict[str, Any] = {
    "content_type": "text/plain; charset=utf-8",
    "content_encoding": "gzip",
    "delivery_mode": 2,
    "priority": 7,
    "correlation_id": "a:b",
    "reply_to": "amq.gen-7",
    "expiration": "60000",
    "message_id": "an id\nof two lines",
    "timestamp": 1_700_000_000,
    "type": "학교",
    "user_id": "admin",
    "app_id": "back\\slash",
}

#: Messages of other producers, with every property and every type that pika can write.
_MESSAGES: tuple[dict[str, Any], ...] = (
    {},
    _EVERY_PROPERTY,
    *({name: value} for name, value in _EVERY_PROPERTY.items()),
    *({"reply_to": f"{kind}/q"} for kind in ("/queue", "/topic", "/exchange", "/amq/queue")),
    *({"reply_to": to} for to in ("/temp-queue/q", "/reply-queue/q", "/other/q", "/queue", "")),
    {"delivery_mode": 1},
    {"priority": 0, "content_type": "", "type": "", "message_id": ""},
    {
        "headers": {
            "text": "한나: \\ \n and \r",
            "empty": "",
            "colon:and\nline": "x",
        }
    },
    {
        "headers": {
            "text": "plain",
            "small": 1,
            "negative": -70_000,
            "signed": 2**31 - 1,
            "unsigned": 2**32 - 1,
            "large": 2**40,
            "most": -(2**63),
            "true": True,
            "decimal": Decimal("1.5"),
            "time": datetime(2026, 1, 2, tzinfo=UTC),
            "bytes": b"ab",
            "none": None,
            "list": [1, "two", {"three": 3}],
            "table": {"a": "b", "n": {"m": 1}},
            "last": "here",
        }
    },
    # As a client of STOMP's own SEND leaves it, and headers that look like RabbitMQ's.
    {
        "headers": {
            "receipt": "7",
            "content-length": "3",
            "content-type": "second",
            "message-id": "mine",
            "subscription": "mine",
            "persistent": "2",
            "reply-to": "elsewhere",
            "seq": "7",
        },
        "content_type": "first",
    },
)


class StompSubscriber:
    """A Web-STOMP session that reads one frame after the other."""

    def __init__(self, session: WebStompSession) -> None:
        self._session = session
        self._messages = MessageReader(1 << 20, masked=False)
        self._frames = FrameParser(Limits(1 << 20, 1 << 20, 1000), SERVER_COMMANDS)
        self._waiting: deque[Frame] = deque()

    async def subscribe(self) -> None:
        destination = f"/exchange/{EXCHANGE}/{_KEY}"
        headers = [("id", "s"), ("destination", destination), ("receipt", "r")]
        self._session.send(serialise("SUBSCRIBE", headers))
        assert (await self._frame()).command == "RECEIPT"

    async def hear(self, count: int) -> dict[str, Headers]:
        """The headers of so many messages, by their bodies."""
        found = [await self._frame() for _ in range(count)]
        return {frame.body.decode(): frame.headers for frame in found}

    async def _frame(self) -> Frame:
        while not self._waiting:
            data = await self._session.stream.read_bytes(65_536, partial=True)
            for event in self._messages.feed(data):
                if isinstance(event, Data):
                    read = self._frames.feed(event.payload)
                    self._waiting.extend(each for each in read if isinstance(each, Frame))
        return self._waiting.popleft()


async def stand(connection: Connection) -> None:
    session = QueueSession(connection, _QUEUE, [_KEY])
    while not session.stands:
        for event in await connection.read():
            if isinstance(event, Received):
                session.take(event)


async def hear(connection: Connection, count: int) -> dict[str, Headers]:
    """The headers of so many messages, by their bodies."""
    found: dict[str, Headers] = {}
    while len(found) < count:
        for each in await connection.read():
            if isinstance(each, Delivery):
                found[each.body.decode()] = stomp_headers(each.properties)
    return found


def without_the_subscription_s(headers: Headers) -> list[tuple[str, str]]:
    """The headers that a client of the hub may get: RabbitMQ's about its subscription are the first
    ones, and a producer's may have the same names."""
    first = len(_OF_THE_SUBSCRIPTION)
    assert tuple(name for name, _ in headers[:first]) == _OF_THE_SUBSCRIPTION
    return [header for header in headers[first:] if header[0] != "content-length"]


def test_headers_are_those_of_rabbitmqs_stomp_plugin(cluster: Cluster) -> None:
    node = cluster.node(1)
    at = Node("r1", node.web_stomp_url, node.amqp_url)
    account = Credentials(cluster.gateway.name, cluster.gateway.password)

    async def scenario() -> None:
        stomp = await open_session(at, account, timeout=30)
        connection = await open_connection(
            at, account, timeout=30, name="test", message_bytes=100_000
        )
        try:
            subscriber = StompSubscriber(stomp)
            await subscriber.subscribe()
            await stand(connection)
            await asyncio.to_thread(_publish, cluster)
            direct = await subscriber.hear(len(_MESSAGES))
            fed = await hear(connection, len(_MESSAGES))
        finally:
            stomp.close()
            connection.close()
        assert fed.keys() == direct.keys()
        for body, headers in fed.items():
            mine = [header for header in headers if header[0] != "content-length"]
            assert mine == without_the_subscription_s(direct[body]), body

    asyncio.run(asyncio.wait_for(scenario(), _TIMEOUT))


def _publish(cluster: Cluster) -> None:
    with amqp(cluster) as channel:
        channel.confirm_delivery()
        for number, properties in enumerate(_MESSAGES):
            body = b"%d" % number
            channel.basic_publish(EXCHANGE, _KEY, body, pika.BasicProperties(**properties))
