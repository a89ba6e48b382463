"""WebSockets that never say CONNECT."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.site import Site
from flood_suite.sockets import Socket


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """Each stays until it is closed, and is replaced."""

    async def stay() -> str:
        socket = await Socket.open(site)
        try:
            await socket.swallow()
        finally:
            socket.close()
        return "ended"

    await side_by_side(sockets, tally, lambda number: stay)
