"""WebSocket pings, each of which asks for a pong."""

import asyncio
from collections.abc import Awaitable, Callable

from broker.protocol.websocket import Opcode, build
from flood_suite.attempts import Tally, side_by_side
from flood_suite.site import FLOODER, Site
from flood_suite.sockets import MASK, Refused, Socket


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """Connected sockets that ping as fast as they are read, and read the pongs."""
    token = site.token(FLOODER)
    block = build(Opcode.PING, b"x" * 100, mask=MASK) * 100

    def pinger(number: int) -> Callable[[], Awaitable[str]]:
        async def ping() -> str:
            outcome = "ended"
            socket = await Socket.open(site, token=token)
            try:
                await socket.connect(token)
                async with asyncio.TaskGroup() as group:
                    group.create_task(socket.swallow())
                    group.create_task(_pour(socket, block, tally))
            except* (OSError, EOFError):
                outcome = "lost"
            except* Refused as refused:
                outcome = f"refused: {refused.exceptions[0]}"
            finally:
                socket.close()
            return outcome

        return ping

    await side_by_side(sockets, tally, pinger)


async def _pour(socket: Socket, block: bytes, tally: Tally) -> None:
    while True:
        await socket.flood(block)
        tally["pings"] += 100
