"""Hints to the other gateways about messages that the broker delivers late: they read the history.

A node that hangs takes a message and delivers it to nobody until its link is given up, seconds
later. The subscribers of the gateway that stored it have it all the same, and the others' should
have it, too. A gateway that is heard for the first time may have published on another cluster
before, or while this one had no feed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from broker.timing.tasks import Tasks
from broker.topology import Audience, Stream
from gateway.cluster.bus import Bus
from gateway.domain.message import Message
from gateway.live.hub.hub import Hub

#: Seconds until a confirm counts as late; the others are hinted at most half of that later. On a
#: calm cluster a confirm comes within 10 ms.
LATE: Final = 0.03
#: Streams in one message. Nothing depends on it: with more of them this could not help anyway.
_STREAMS: Final = 500
_GROWN: Final = "grown"


class Outbox(Protocol):
    """The outbox, which knows the messages without a confirm."""

    def awaits(self, stream: Stream, seq: int) -> bool:
        """Whether the broker's confirm of this message is still missing."""


class HistoryHints:
    """The sender and receiver of hints: what was stored here and is late, and what was stored
    there."""

    def __init__(self, bus: Bus, outbox: Outbox, hub: Hub, *, tasks: Tasks) -> None:
        self._bus = bus
        self._outbox = outbox
        self._hub = hub
        #: The last seq of each stream since the last round.
        self._stored: dict[Stream, int] = {}
        self._something = asyncio.Event()
        self._tasks = tasks
        bus.on(_GROWN, self._grown)
        bus.on_arrival(hub.gateway_arrived)

    def start(self) -> None:
        self._tasks.forever(self._run, "history hints")

    async def close(self) -> None:
        await self._tasks.close()

    def stored(self, messages: Iterable[Message]) -> None:
        """Note messages that this gateway has just stored; those of a stream come in order."""
        if not self._bus.others:
            return
        for message in messages:
            if message.seq is not None and len(self._stored) < _STREAMS:
                self._stored[message.stream] = message.seq
        self._something.set()

    async def _run(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            stored, self._stored = self._stored, {}
            await asyncio.sleep(LATE)
            late = [
                [stream.audience, stream.room, seq]
                for stream, seq in stored.items()
                if self._outbox.awaits(stream, seq)
            ]
            if late:
                self._bus.urge(_GROWN, {"streams": late})

    def _grown(self, gateway: str, payload: Mapping[str, Any]) -> None:
        del gateway
        for audience, room, seq in payload["streams"]:
            self._hub.grown(Stream(Audience(audience), room), seq)
