"""Subscriptions of one user to the same topic, each of which is sent every message."""

from __future__ import annotations

from typing import Any

import pytest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from broker.protocol.stomp import serialise
from broker.topology import Audience, Stream
from gateway.assembly import Gateway
from gateway.budget.table import COPIES, Scope
from gateway.config import Config
from gateway.http.listeners import Listener
from gateway.live.destinations import RoomTopic
from tests.integration.http.conftest import token


@pytest.fixture
def tables(tables: dict[str, Any]) -> dict[str, Any]:
    tables["limits"] = {"copies": 2, "copies_per_user": 3}
    return tables


class Client:
    """A client that has said CONNECT."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self._socket = socket

    async def says(self, command: str, *headers: tuple[str, str]) -> str:
        """The first line of the answer, with its message or receipt."""
        await self._socket.write_message(serialise(command, headers), binary=True)
        answer = str(await self._socket.read_message())
        command, *lines = answer.split("\n\n", maxsplit=1)[0].split("\n")
        found = dict(line.split(":", 1) for line in lines)
        return " ".join([command, *(found[n] for n in ("message", "receipt-id") if n in found)])

    async def ends(self) -> int | None:
        """The code of the close, which must come next."""
        assert await self._socket.read_message() is None
        self.leaves()
        return self._socket.close_code

    def leaves(self) -> None:
        self._socket.close()


@pytest.mark.gen_test
async def test_a_subscription_too_many_is_refused_and_leaves_the_others_their_places(
    gateway: Gateway, public: Listener, room: str, settings: Config
) -> None:
    number = int(room.rpartition("/")[2])
    topic = f"/topic/{settings.broker.prefix}.public.{number}"
    counted = "bob", RoomTopic(Stream(Audience.PUBLIC, number))

    async def connected(user: str) -> Client:
        url = f"{public.url.replace('http', 'ws')}/ws"
        client = Client(await websocket_connect(url, subprotocols=["v12.stomp"]))
        passcode = ("passcode", token(settings, user))
        assert await client.says("CONNECT", ("accept-version", "1.2"), passcode) == "CONNECTED"
        return client

    async def subscribes(client: Client, id: str) -> str:
        return await client.says(
            "SUBSCRIBE", ("destination", topic), ("id", id), ("receipt", f"r{id}")
        )

    one, another, anna = await connected("bob"), await connected("bob"), await connected("anna")
    assert await subscribes(one, "1") == "RECEIPT r1"
    assert await subscribes(one, "2") == "RECEIPT r2"
    assert await subscribes(another, "3") == "RECEIPT r3"
    copies = gateway.budgets.cap(COPIES)
    assert copies.taken(Scope.USER, counted) == 3
    for client, id in ((another, "4"), (one, "5")):
        assert await subscribes(client, id) == f"ERROR too_many_copies r{id}"
        assert await client.ends() == 1013
    assert copies.taken(Scope.USER, counted) == 0
    assert gateway.budgets.met["copies/user"] == gateway.budgets.met["copies/connection"] == 1
    assert await subscribes(anna, "6") == "RECEIPT r6"
    again = await connected("bob")
    for id in ("1", "2", "3"):
        assert await subscribes(again, id) == f"RECEIPT r{id}"
        assert await again.says("UNSUBSCRIBE", ("id", id), ("receipt", "u")) == "RECEIPT u"
    for client in (anna, again):
        client.leaves()
