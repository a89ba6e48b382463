"""One user's sockets that enter and leave a room, so that presence has news all the time."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.site import FLOODER, Site, topic
from flood_suite.sockets import connected


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """All of them in the good room, whose members are told."""
    token = site.token(FLOODER)

    async def flap(number: int) -> str:
        async with connected(site, token) as socket:
            await socket.subscribe(topic(site.good_room))
        return "came and went"

    await side_by_side(sockets, tally, flap)
