"""WebSockets that never say CONNECT."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.site import Site
from flood_suite.sockets import Socket


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """Each stays until it is closed, and is replaced."""

    async def stay(number: int) -> str:
        async with await Socket.open(site) as socket:
            tally["opened"] += 1
            await socket.swallow()
        return "ended"

    await side_by_side(sockets, tally, stay)
