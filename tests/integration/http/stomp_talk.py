"""A STOMP client of the tests: a conversation, frame by frame."""

from __future__ import annotations

import json
from typing import Any

from tornado.websocket import WebSocketClientConnection

from broker.protocol.stomp import SERVER_COMMANDS, Frame, FrameParser, Limits, serialise
from broker.topology import Topology
from gateway.http.contract.asyncapi import asyncapi

TOPIC = "/topic/acdm.mo.interact.public.1"


#: The frames of the contract, by their commands.
_TOLD = {
    message["name"]: message["headers"]
    for message in asyncapi(Topology(), version="")["components"]["messages"].values()
}


def _check(frame: Frame) -> None:
    """Fail unless the contract has a frame of the gateway's with these headers."""
    told = _TOLD[frame.command]
    names = {name for name, _ in frame.headers}
    assert names <= set(told["properties"]) | {"content-length"}, frame
    assert set(told["required"]) <= names, frame


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
        frame = self._waiting.pop(0)
        _check(frame)
        return frame

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
