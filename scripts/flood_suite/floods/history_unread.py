"""Large pages of the history that nobody reads: they fill buffers."""

import asyncio

from flood_suite.attempts import Tally, side_by_side
from flood_suite.floods.large_history import large_history
from flood_suite.http import Http
from flood_suite.site import FLOODER, Site

prepare = large_history

#: Seconds that the answers are left lying, and requests of each connection.
_LEFT, _PIPELINED = 10.0, 5


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """Each connection asks several times at once, and reads nothing."""
    token = site.token(FLOODER)
    path = f"/api/rooms/{site.bad_room}/messages?limit=500"

    async def ask(number: int) -> str:
        async with await Http.open(site) as http:
            http.stop_reading()
            for _ in range(_PIPELINED):
                http.send("GET", path, token=token)
            tally["asked"] += _PIPELINED
            await asyncio.sleep(_LEFT)
        return "left unread"

    await side_by_side(connections, tally, ask)
