"""The least that a proxy in Python can cost: bytes from one socket to the other, unread."""

import asyncio
import sys
from collections.abc import Iterator
from itertools import cycle
from typing import cast

import uvloop


class Node(asyncio.Protocol):
    """The node's side of a connection."""

    def __init__(self, client: asyncio.Transport) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        self._client.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.close()


class Client(asyncio.Protocol):
    """The client's side; what comes before the node has accepted waits here."""

    def __init__(self, ports: Iterator[int]) -> None:
        self._ports = ports
        self._transport: asyncio.Transport
        self._node: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._dialling: asyncio.Task[None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._dialling = asyncio.ensure_future(self._dial())

    def data_received(self, data: bytes) -> None:
        if self._node is not None:
            self._node.write(data)
        else:
            self._early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._dialling.cancel()
        if self._node is not None:
            self._node.close()

    async def _dial(self) -> None:
        try:
            self._node, _ = await asyncio.get_running_loop().create_connection(
                lambda: Node(self._transport), "127.0.0.1", next(self._ports)
            )
            self._node.write(b"".join(self._early))
        except OSError:
            self._transport.close()


async def serve(port: int, *nodes: int) -> None:
    """Serve on loopback until the process is killed; the nodes take turns."""
    ports = cycle(nodes)
    await asyncio.get_running_loop().create_server(lambda: Client(ports), "127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(*map(int, sys.argv[1:])))
