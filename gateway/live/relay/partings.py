"""The connections to nodes that are about to close: each still sends what its client gave it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import Final

from gateway.live.transport import Transport

#: Seconds that a node has to take what it was sent before a relay's end: longer than one stands
#: still that is not dead.
PARTING: Final = 15.0
#: Bytes that may wait in all of them together: nodes that take nothing (by a memory alarm, for
#: one) would else have the gateway keep a frame for every client that comes and goes.
WAITING: Final = 64 * 1024 * 1024


class Partings:
    """The connections that are parting, see :meth:`Transport.part`."""

    def __init__(self) -> None:
        self._open: set[Transport] = set()
        #: What waited when they began to part, the oldest first.
        self._waiting: dict[Transport, int] = {}
        self._bytes = 0
        self._closed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    def part(self, transport: Transport) -> None:
        """Close it when its node has closed, or after :data:`PARTING` seconds; earlier if too many
        bytes wait in those that came later."""
        if transport.closed:
            # The node takes nothing more.
            transport.close()
            return
        self._open.add(transport)
        if waiting := transport.backlog:
            self._waiting[transport] = waiting
            self._bytes += waiting
        transport.part(within=PARTING, gone=partial(self._gone, transport))
        while self._bytes > WAITING:
            next(iter(self._waiting)).close()

    async def close(self, *, within: float) -> None:
        """Wait until all have closed, and cut off those that have not ``within`` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._open:
                    self._closed.clear()
                    await self._closed.wait()
        for transport in list(self._open):
            transport.close()

    def _gone(self, transport: Transport) -> None:
        self._open.discard(transport)
        self._bytes -= self._waiting.pop(transport, 0)
        self._closed.set()
