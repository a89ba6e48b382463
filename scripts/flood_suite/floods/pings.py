"""WebSocket pings, each of which asks for a pong."""

from collections.abc import Awaitable, Callable

from broker.protocol.websocket import Opcode, build
from flood_suite.attempts import Tally, first_of, side_by_side
from flood_suite.site import FLOODER, Site
from flood_suite.sockets import MASK, Socket


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """Connected sockets that ping as fast as they are read, and read the pongs."""
    token = site.token(FLOODER)
    block = build(Opcode.PING, b"x" * 100, mask=MASK) * 100

    def pinger(number: int) -> Callable[[], Awaitable[str]]:
        async def ping() -> str:
            socket = await Socket.open(site, token=token)
            try:
                await socket.connect(token)
                await first_of(socket.swallow(), _pour(socket, block, tally))
            finally:
                socket.close()
            return "ended"

        return ping

    await side_by_side(sockets, tally, pinger)


async def _pour(socket: Socket, block: bytes, tally: Tally) -> None:
    while True:
        await socket.flood(block)
        tally["pings"] += 100
