"""WebSocket handshakes, half of them with a good token, whose clients leave at once."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.site import FLOODER, Site
from flood_suite.sockets import Socket

_AT_ONCE = 10


async def flood(site: Site, tally: Tally) -> None:
    """Become a WebSocket, and leave."""
    token = site.token(FLOODER)

    async def upgrade(number: int) -> str:
        async with await Socket.open(site, token=token if number % 2 else ""):
            return "upgraded"

    await side_by_side(_AT_ONCE, tally, upgrade)
