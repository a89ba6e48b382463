"""A participant who speaks by STOMP's SEND, each message until its RECEIPT has come."""

import asyncio
import json
import time
from contextlib import suppress
from random import Random
from typing import Any
from uuid import UUID

from tests.chaos.clients import PREFIX, TopicClient
from tests.chaos.wire import Frame, Wire

#: Seconds that a RECEIPT may take on a connection that stands.
_PATIENCE = 15.0
#: Seconds between two looks whether the connection still stands.
_LOOK = 0.2


class Speaker(TopicClient):
    """Listens to the public stream of a room and says something at a steady rate.

    A connection that is lost is judged as such; what was sent on it without a RECEIPT is sent
    again on the next, with the same id.
    """

    def __init__(self, who: str, user: str, room: int, *, rng: Random, **rest: Any) -> None:
        super().__init__(who, user, room, audience="public", rng=rng, **rest)
        self._ids = rng
        self._receipts: dict[str, asyncio.Event] = {}

    async def speak(self, interval: float, stop: asyncio.Event) -> None:
        """A message every `interval` seconds until `stop`, each after the one before it is
        acknowledged: what one connection sends is handled one by one."""
        due = time.monotonic() + self._ids.uniform(0, interval)
        while not stop.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._say_until_acknowledged()
            due = max(due + interval, time.monotonic())

    def receipt(self, frame: Frame) -> None:
        if acknowledged := self._receipts.get(frame.headers["receipt-id"]):
            acknowledged.set()

    async def _say_until_acknowledged(self) -> None:
        id = str(UUID(int=self._ids.getrandbits(128), version=4))
        body = json.dumps({"text": "x" * 100}).encode()
        headers = {
            "destination": f"/topic/{PREFIX}.public.{self.room}",
            "content-type": "application/json",
            "content-length": str(len(body)),
            "type": "chat",
            "id": id,
            "receipt": id,
        }
        acknowledged = self._receipts[id] = asyncio.Event()
        while not acknowledged.is_set():
            wire = self._standing
            if wire is None:
                await asyncio.sleep(_LOOK)
                continue
            gateway, began = self._gateway, time.monotonic()
            self._note("attempt", id=id, room=self.room, audience=self.audience, gateway=gateway)
            wire.send("SEND", headers, body)
            while self._standing is wire and not await _set_within(acknowledged, _LOOK):
                if time.monotonic() - began > _PATIENCE:
                    wire.abort("no RECEIPT")
            if acknowledged.is_set():
                took = time.monotonic() - began
                self._note("answer", id=id, gateway=gateway, status=201, seq=None, took=took)
        del self._receipts[id]

    @property
    def _standing(self) -> Wire | None:
        """The connection, once it is subscribed."""
        return self._wire if self._up else None


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
