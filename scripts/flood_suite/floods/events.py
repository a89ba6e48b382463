"""Event streams of a topic with large messages: some are read, some never, and some come and go."""

import asyncio

from flood_suite.attempts import Tally, first_of, side_by_side
from flood_suite.floods.busy_topic import post_large
from flood_suite.floods.large_history import large_history
from flood_suite.http import Http
from flood_suite.site import FLOODER, Site

prepare = large_history

#: Seconds until a stream that was left alone is replaced; the gateway is to end it before.
_LEFT = 30.0
_CHUNK = 65_536


async def flood(site: Site, tally: Tally, *, readers: int, asleep: int, resuming: int) -> None:
    """One participant follows the room so often; a member posts large messages meanwhile."""
    token = site.token(FLOODER)
    path = f"/api/rooms/{site.bad_room}/events"

    async def opened(http: Http, query: str = "") -> str | None:
        """Ask for a stream; None: it has begun, otherwise why not."""
        http.send("GET", path + query, token=token)
        head = (await http.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        return None if head.split()[1] == "200" else f"refused: {head.split()[1]}"

    async def read(number: int) -> str:
        async with await Http.open(site) as http:
            if (refused := await opened(http)) is not None:
                return refused
            tally["read"] += 1
            while await http.reader.read(_CHUNK):
                pass
        return "ended"

    async def sleep(number: int) -> str:
        async with await Http.open(site) as http:
            if (refused := await opened(http, "?after=0")) is not None:
                return refused
            http.stop_reading()
            tally["asleep"] += 1
            await asyncio.sleep(_LEFT)
        return "left unread"

    async def resume(number: int) -> str:
        async with await Http.open(site) as http:
            if (refused := await opened(http, "?after=0")) is not None:
                return refused
            await http.reader.read(_CHUNK)
        return "resumed"

    await first_of(
        post_large(site, tally),
        side_by_side(readers, tally, read),
        side_by_side(asleep, tally, sleep),
        side_by_side(resuming, tally, resume),
    )
