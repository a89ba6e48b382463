"""The kept state by STOMP: SEND with a key, SUBSCRIBE with ``state:true``, over the real socket,
judge and store."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.ioloop import IOLoop
from tornado.websocket import WebSocketClientConnection, websocket_connect

from broker.protocol.stomp import SERVER_COMMANDS, Frame, FrameParser, Limits, serialise
from gateway.config import Config
from gateway.http.listeners import Listener
from tests.integration.http.conftest import Call, token

TOPIC = "/topic/acdm.mo.interact.public.1"
PRIVATE = "/topic/acdm.mo.interact.private.1"


class Talk:
    """One client's connection, whose frames come one by one."""

    def __init__(self, client: WebSocketClientConnection) -> None:
        self._client = client
        self._parser = FrameParser(Limits(frame_bytes=2**20), SERVER_COMMANDS)
        self._waiting: list[Frame] = []

    async def say(self, command: str, *headers: tuple[str, str], body: bytes = b"") -> None:
        await self._client.write_message(serialise(command, headers, body), binary=True)

    async def hear(self) -> Frame:
        while not self._waiting:
            data = await self._client.read_message()
            assert data is not None
            raw = data if isinstance(data, bytes) else data.encode()
            self._waiting += [each for each in self._parser.feed(raw) if isinstance(each, Frame)]
        return self._waiting.pop(0)

    async def keep(self, key: str, body: Any, *headers: tuple[str, str]) -> Frame:
        """SEND with a key; the answer."""
        given = (("destination", TOPIC), ("keep", key), ("receipt", key), *headers)
        content = ("content-type", "application/json")
        await self.say("SEND", *given, content, body=json.dumps(body).encode())
        return await self.hear()

    async def hang_up(self) -> None:
        self._client.close()
        while await self._client.read_message() is not None:
            pass


@pytest.fixture
def talk(
    public: Listener, settings: Config, room: str, io_loop: IOLoop
) -> Iterator[Callable[[str], Awaitable[Talk]]]:
    del room
    opened: list[Talk] = []

    async def connect(user: str) -> Talk:
        headers = {"Authorization": f"Bearer {token(settings, user)}"}
        url = f"{public.url.replace('http', 'ws')}/ws"
        request = HTTPRequest(url, headers=headers)
        made = Talk(await websocket_connect(request, subprotocols=["v12.stomp"]))
        await made.say("CONNECT", ("accept-version", "1.2"))
        assert (await made.hear()).command == "CONNECTED"
        opened.append(made)
        return made

    yield connect
    for each in opened:
        io_loop.run_sync(each.hang_up)


@pytest.mark.gen_test
async def test_a_subscriber_gets_the_state_and_then_what_follows(
    talk: Callable[[str], Awaitable[Talk]], call: Call, room: str
) -> None:
    anna = await talk("anna")
    for key, body in (("poll:1", {"q": "?"}), ("board", 1), ("board", 2), ("gone", 1)):
        assert (await anna.keep(key, body)).command == "RECEIPT"
    assert (await anna.keep("gone", None)).command == "RECEIPT"
    bob = await talk("bob")
    await bob.say(
        "SUBSCRIBE", ("destination", TOPIC), ("id", "s"), ("state", "true"), ("receipt", "r")
    )
    state = [await bob.hear() for _ in range(2)]
    assert [json.loads(frame.body)["body"] for frame in state] == [{"q": "?"}, 2]
    assert [(frame.get("state"), frame.get("seq")) for frame in state] == [
        ("true", "1"),
        ("true", "3"),
    ]
    receipt = await bob.hear()
    assert (receipt.command, receipt.get("seq")) == ("RECEIPT", "5")
    assert (await anna.keep("board", 3)).command == "RECEIPT"
    live = await bob.hear()
    assert (live.get("seq"), live.get("state")) == ("6", None)
    assert json.loads(live.body)["keep"] == "board"
    by_http = (await call("GET", f"{room}/state", user="bob")).json["state"]
    assert by_http == [json.loads(frame.body) for frame in (state[0], live)]


@pytest.mark.gen_test
async def test_refusals_by_stomp_have_the_codes_of_http(
    talk: Callable[[str], Awaitable[Talk]],
) -> None:
    for headers, code in (
        ((("keep", "poll:1"),), "key_refused"),
        ((("keep", "hand"), ("of", "anna")), "key_refused"),
        ((("keep", "hand"), ("while", "voting:1")), "not_open"),
        ((("keep", "a b"),), "invalid_request"),
        ((("keep", "hand"), ("importance", "instant")), "invalid_request"),
    ):
        bob = await talk("bob")
        await bob.say("SEND", ("destination", TOPIC), *headers, body=b"x")
        error = await bob.hear()
        assert (error.command, error.get("message")) == ("ERROR", code), headers


@pytest.mark.gen_test
async def test_a_participant_gets_no_private_state_by_stomp(
    talk: Callable[[str], Awaitable[Talk]],
) -> None:
    bob = await talk("bob")
    await bob.say("SUBSCRIBE", ("destination", PRIVATE), ("id", "s"), ("state", "true"))
    error = await bob.hear()
    assert (error.command, error.get("message")) == ("ERROR", "access_refused")
