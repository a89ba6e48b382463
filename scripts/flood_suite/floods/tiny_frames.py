"""WebSocket frames without content, from sockets that nobody knows."""

import asyncio

from flood_suite.attempts import Tally, first_of, side_by_side
from flood_suite.site import Site
from flood_suite.sockets import Socket

#: Bytes a second of each socket: 8 Mbit/s.
_RATE = 1_000_000
#: Seconds between two writes.
_TICK = 0.05
#: An empty, masked ping: the smallest frame that a client may send before CONNECT.
_FRAME = b"\x89\x80\0\0\0\0"


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """A socket that was closed is replaced."""
    block = _FRAME * int(_RATE * _TICK / len(_FRAME))

    async def send(number: int) -> str:
        async with await Socket.open(site) as socket:
            await first_of(socket.swallow(), _pour(socket, block))
        return "ended"

    await side_by_side(sockets, tally, send)


async def _pour(socket: Socket, block: bytes) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        await socket.flood(block)
        due += _TICK
        await asyncio.sleep(max(0.0, due - loop.time()))
