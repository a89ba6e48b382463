"""One of two gateways leaves while people talk: nothing is lost, and nobody leaves in a crowd."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from tests.acceptance.broker_view import wait_for
from tests.acceptance.conftest import StartGateway, connected
from tests.acceptance.gateway_process import DRAIN_TOKEN, PREFIX, GatewayProcess
from tests.acceptance.stomp_client import StompClient

_DRAIN_TIME = 3.0
_LISTENERS = 6
_THE_END = "the end"
#: Seconds between two messages.
_PACE = 0.05

Pair = tuple[GatewayProcess, GatewayProcess]


@pytest.fixture
def database(postgres_url: str) -> str:
    return postgres_url.replace("+asyncpg", "")


@pytest.fixture
def pair(start_gateway: StartGateway, database: str) -> Pair:
    """The gateway that stays, which RabbitMQ asks, and the one that leaves."""
    stays = start_gateway(store=database)
    return stays, start_gateway(number=1, store=database, server=f"drain_time = {_DRAIN_TIME}")


@dataclass
class Farewell:
    """The time at which a client was sent away, and the seconds until it should reconnect."""

    at: float
    wait: float


@dataclass
class Listener:
    """Hears a topic where it is, and goes on hearing it elsewhere when it is told to leave."""

    topic: str
    heard: list[int] = field(default_factory=list)
    farewell: Farewell | None = None

    def follow(self, client: StompClient, stays: GatewayProcess) -> None:
        """Hear everything, on the gateway that leaves first and on the one that stays then."""
        with client:
            while (frame := client.receive()).command == "MESSAGE":
                self.heard.append(frame.json["seq"])
            assert frame.headers["message"] == "draining"
            assert client.closed() == 1012
        seconds = int(frame.headers["retry-after"]) / 1000
        self.farewell = Farewell(time.monotonic(), seconds)
        with connected(stays, "paul") as again:
            again.subscribe(self.topic, resume_after=str(max(self.heard, default=0)))
            last = None
            while last != _THE_END:
                message = again.message()
                self.heard.append(message.json["seq"])
                last = message.json["body"]


def test_clients_leave_one_after_the_other_and_hear_everything_once(pair: Pair) -> None:
    stays, leaves = pair
    room = stays.room("hana", "paul")
    listeners = [Listener(f"/topic/{PREFIX}.public.{room}") for _ in range(_LISTENERS)]
    with ThreadPoolExecutor(_LISTENERS) as pool:
        following: list[Future[None]] = []
        for listener in listeners:
            client = connected(leaves, "paul")
            client.subscribe(listener.topic)
            following.append(pool.submit(listener.follow, client, stays))
        _say(room, "the beginning", pair)
        os.kill(leaves.pid, signal.SIGTERM)
        deadline = time.monotonic() + 30.0
        said = 1
        while not all(each.farewell for each in listeners):
            assert time.monotonic() < deadline
            _say(room, said, pair)
            said += 1
            wait(following, timeout=_PACE)
        _say(room, _THE_END, pair)
        for each in following:
            each.result()
    assert [listener.heard for listener in listeners] == [list(range(1, said + 2))] * _LISTENERS
    farewells = [listener.farewell for listener in listeners if listener.farewell]
    times = [farewell.at for farewell in farewells]
    # Six clients in three seconds: two and a half from the first to the last.
    assert max(times) - min(times) > 0.5 * _DRAIN_TIME
    assert len({farewell.wait for farewell in farewells}) == _LISTENERS
    leaves.await_end()


def _say(room: int, body: object, pair: Pair) -> None:
    """Post by the gateway that leaves as long as it takes posts, as a balanced client would."""
    id = str(uuid4())
    for gateway in reversed(pair):
        try:
            status, answer = gateway.post(room, "paul", body, id=id)
        except OSError:
            continue
        if status in (201, 202):
            return
        assert (status, answer["code"]) == (503, "draining")
    raise AssertionError("nobody took the message")


def test_a_post_in_hand_is_answered_and_a_new_one_is_refused(pair: Pair, database: str) -> None:
    stays, leaves = pair
    room = stays.room("hana", "paul")
    with (
        ThreadPoolExecutor() as pool,
        connected(leaves, "hana") as hana,
        _numbering_held(database) as release,
    ):
        in_hand = pool.submit(leaves.post, room, "paul", "in hand")
        wait_for(lambda: _drain(leaves, "GET")["posts"] == 1)
        assert _drain(leaves, "POST")["state"] == "draining"
        assert leaves.call("GET", "/readyz") == (503, "unavailable")
        status, refused = leaves.post(room, "paul", "too late")
        assert (status, refused["code"]) == (503, "draining")
        assert hana.error()[1] == 1012
        assert not in_hand.done()
        release()
        status, receipt = in_hand.result()
    assert (status, receipt["seq"]) == (201, 1)
    leaves.await_end()
    assert [message["body"] for message in stays.history(room, "hana")["messages"]] == ["in hand"]


@contextmanager
def _numbering_held(database: str) -> Iterator[Callable[[], None]]:
    """Hold up the storing of messages until the function that this yields is called."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(database))
        try:
            runner.run(connection.execute("BEGIN; LOCK TABLE streams"))
            yield lambda: runner.run(connection.execute("ROLLBACK"))
        finally:
            runner.run(connection.close())


def _drain(gateway: GatewayProcess, method: str) -> Any:
    """Ask for the drain, or just for how far it is."""
    address = urlsplit(gateway.internal_url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        connection.request(method, "/drain", headers={"Authorization": f"Bearer {DRAIN_TOKEN}"})
        response = connection.getresponse()
        assert response.status == (202 if method == "POST" else 200)
        return json.loads(response.read())
    finally:
        connection.close()


def test_a_host_gets_what_was_not_acknowledged_again_elsewhere(pair: Pair) -> None:
    stays, leaves = pair
    room = stays.room("hana", "paul")
    queue = f"/queue/{PREFIX}.private.{room}"
    for number in range(3):
        assert stays.post(room, "paul", number)[0] == 201
    with connected(leaves, "hana") as hana:
        hana.subscribe(queue, ack="client-individual")
        messages = [hana.message() for _ in range(3)]
        hana.request("ACK", {"id": messages[0].headers["ack"]})
        os.kill(leaves.pid, signal.SIGTERM)
        assert hana.error()[1] == 1012
    leaves.await_end()
    with connected(stays, "hana") as again:
        again.subscribe(queue, ack="client-individual")
        left = [again.message() for _ in range(2)]
    assert [message.json["body"] for message in left] == [1, 2]
    assert {message.headers["redelivered"] for message in left} == {"true"}
