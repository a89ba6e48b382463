"""Large pages of the history that nobody reads: they fill buffers."""

import asyncio
from collections.abc import Awaitable, Callable

from flood_suite.attempts import Tally, side_by_side
from flood_suite.floods.large_history import large_history
from flood_suite.http import Http
from flood_suite.site import FLOODER, Site

prepare = large_history

#: Seconds that an answer is left lying.
_LEFT = 10.0
#: Requests of each connection.
_PIPELINED = 5


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """Each connection asks several times at once, and reads nothing."""
    token = site.token(FLOODER)
    path = f"/api/rooms/{site.bad_room}/messages?limit=500"

    def asker(number: int) -> Callable[[], Awaitable[str]]:
        async def ask() -> str:
            http = await Http.open(site)
            try:
                http.writer.transport.pause_reading()  # type: ignore[attr-defined]
                for _ in range(_PIPELINED):
                    http.send("GET", path, token=token)
                await asyncio.sleep(_LEFT)
            finally:
                http.close()
            return "left unread"

        return ask

    await side_by_side(connections, tally, asker)
