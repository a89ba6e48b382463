"""Sockets that never read, of a topic with large messages."""

import asyncio
from collections.abc import Awaitable, Callable

from flood_suite.attempts import Tally, again, side_by_side
from flood_suite.floods.busy_topic import post_large
from flood_suite.site import FLOODER, Site, topic
from flood_suite.sockets import Socket

#: Seconds until a socket that was left alone is replaced; the gateway is to end it before.
_LEFT = 30.0


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """Subscribe, stop reading, and stay; a member posts large messages meanwhile."""
    token = site.token(FLOODER)

    def sleeper(number: int) -> Callable[[], Awaitable[str]]:
        async def sleep() -> str:
            socket = await Socket.open(site, token=token)
            try:
                await socket.connect(token)
                await socket.subscribe(topic(site.bad_room))
                socket.writer.transport.pause_reading()  # type: ignore[attr-defined]
                await asyncio.sleep(_LEFT)
            finally:
                socket.close()
            return "left unread"

        return sleep

    async with asyncio.TaskGroup() as group:
        group.create_task(again(tally, post_large(site)))
        group.create_task(side_by_side(sockets, tally, sleeper))
