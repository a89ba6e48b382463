"""Connections in memory on a virtual clock: each run is like the other, and takes no time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.virtual_time import VirtualTimeLoop

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class MemoryTransport(asyncio.Transport):
    """One end of a connection; what is written arrives in the next turn of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol) -> None:
        super().__init__()
        self._loop = loop
        self._protocol: Any = protocol
        self._peer: MemoryTransport
        self._closing = self._lost = False
        #: What has arrived while reading was paused; None: the end.
        self._unread: list[bytes | None] | None = None

    def joined(self, peer: MemoryTransport) -> None:
        self._peer = peer
        self._protocol.connection_made(self)

    def write(self, data: Any) -> None:
        if not self._closing:
            self._loop.call_soon(self._peer.arrive, bytes(data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._closing:
            self._loop.call_soon(self._peer.arrive, None)

    def close(self) -> None:
        if not self._closing:
            self.write_eof()
            self._closing = True
            self._loop.call_soon(self.lose, None)

    def abort(self) -> None:
        if not self._lost:
            self._closing = True
            self._loop.call_soon(self.lose, None)
            self._loop.call_soon(self._peer.lose, ConnectionResetError("Connection reset by peer"))

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._unread is None

    def pause_reading(self) -> None:
        self._unread = []

    def resume_reading(self) -> None:
        unread, self._unread = self._unread or [], None
        for each in unread:
            self.arrive(each)

    # What the other end causes

    def arrive(self, data: bytes | None) -> None:
        if self._lost:
            return
        if self._unread is not None:
            self._unread.append(data)
        elif data is not None:
            self._protocol.data_received(data)
        elif not self._protocol.eof_received():
            self.close()

    def lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._closing = self._lost = True
            self._protocol.connection_lost(error)


class MemoryNetwork(VirtualTimeLoop):
    """A loop whose connections go to whoever listens here.

    ``before_connecting`` is awaited with the port; it may raise, or never return, as with a
    handshake of TLS that gets stuck.
    """

    def __init__(self) -> None:
        super().__init__()
        self._serving: dict[int, Serve] = {}
        self.before_connecting: Callable[[int], Awaitable[None]] | None = None

    def listen(self, port: int, serve: Serve) -> None:
        self._serving[port] = serve

    async def create_connection(  # type: ignore[override]
        self, factory: Any, host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        if self.before_connecting is not None:
            await self.before_connecting(port)
        serve = self._serving[port]
        reader = asyncio.StreamReader()
        protocol = factory()
        near = MemoryTransport(self, protocol)
        far = MemoryTransport(self, asyncio.StreamReaderProtocol(reader, serve))
        far.joined(near)
        near.joined(far)
        return near, protocol
