"""WebSocket pings, each of which asks for a pong."""

from broker.protocol.websocket import Opcode, build
from flood_suite.attempts import Tally, first_of, side_by_side
from flood_suite.site import FLOODER, Site
from flood_suite.sockets import MASK, connected, pour


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """Connected sockets that ping as fast as they are read, and read the pongs."""
    token = site.token(FLOODER)
    block = build(Opcode.PING, b"x" * 100, mask=MASK) * 100

    async def ping(number: int) -> str:
        async with connected(site, token) as socket:
            await first_of(socket.swallow(), pour(socket, block, tally))
        return "ended"

    await side_by_side(sockets, tally, ping)
