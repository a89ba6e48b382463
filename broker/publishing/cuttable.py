"""The socket under aiormq: it tells how often something was heard, and can be cut."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any, Final, SupportsIndex

import aiormq
from yarl import URL

#: Seconds for a farewell before the socket is cut.
GOODBYE: Final = 1.0


class _Reader(asyncio.StreamReader):
    """Counts how often something was heard, which aiormq does not tell."""

    heard = 0

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        self.heard += 1
        super().feed_data(data)


class CuttableSocket(aiormq.TransportFactory):
    """Opens the socket for aiormq, and can cut it, which aiormq cannot."""

    def __init__(self, ssl_context: ssl.SSLContext | None) -> None:
        self._ssl_context = ssl_context
        self._transport: asyncio.WriteTransport | None = None
        self._reader = _Reader()

    @property
    def heard(self) -> int:
        return self._reader.heard

    async def create(self, url: URL, **_: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # As asyncio.open_connection does it, with a reader of our own.
        loop, reader = asyncio.get_running_loop(), self._reader
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _protocol = await loop.create_connection(
            lambda: protocol,
            url.host or "",
            url.port or 0,
            ssl=self._ssl_context,
            ssl_shutdown_timeout=None if self._ssl_context is None else GOODBYE,
        )
        self._transport = transport
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()
