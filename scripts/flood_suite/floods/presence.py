"""One user's sockets that enter and leave a room, so that presence has news all the time."""

from collections.abc import Awaitable, Callable

from flood_suite.attempts import Tally, side_by_side
from flood_suite.site import FLOODER, Site, topic
from flood_suite.sockets import Socket


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """All of them in the good room, whose members are told."""
    token = site.token(FLOODER)

    def flapper(number: int) -> Callable[[], Awaitable[str]]:
        async def flap() -> str:
            socket = await Socket.open(site, token=token)
            try:
                await socket.connect(token)
                await socket.subscribe(topic(site.good_room))
            finally:
                socket.close()
            return "came and went"

        return flap

    await side_by_side(sockets, tally, flapper)
