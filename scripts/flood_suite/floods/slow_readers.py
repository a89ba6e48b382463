"""Sockets that never read, of a topic with large messages."""

import asyncio

from flood_suite.attempts import Tally, first_of, side_by_side
from flood_suite.floods.busy_topic import post_large
from flood_suite.site import FLOODER, Site, topic
from flood_suite.sockets import connected

#: Seconds until a socket that was left alone is replaced; the gateway is to end it before.
_LEFT = 30.0


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """Subscribe, stop reading, and stay; a member posts large messages meanwhile."""
    token = site.token(FLOODER)

    async def sleep(number: int) -> str:
        async with connected(site, token) as socket:
            await socket.subscribe(topic(site.bad_room))
            socket.stop_reading()
            tally["asleep"] += 1
            await asyncio.sleep(_LEFT)
        return "left unread"

    await first_of(post_large(site, tally), side_by_side(sockets, tally, sleep))
