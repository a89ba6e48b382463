"""Many subscriptions of one topic: each message is sent as often as there are subscriptions."""

import asyncio
from collections.abc import Awaitable, Callable

from flood_suite.attempts import Tally, again, side_by_side
from flood_suite.floods.busy_topic import post_large
from flood_suite.site import FLOODER, Site, topic
from flood_suite.sockets import Socket


async def flood(site: Site, tally: Tally, *, connections: int, subscriptions: int) -> None:
    """A member posts large messages meanwhile."""
    token = site.token(FLOODER)

    def follower(number: int) -> Callable[[], Awaitable[str]]:
        async def follow() -> str:
            socket = await Socket.open(site, token=token)
            try:
                await socket.connect(token)
                for index in range(subscriptions):
                    await socket.subscribe(topic(site.bad_room), f"s{index}")
                    tally["subscribed"] += 1
                await socket.swallow()
            finally:
                socket.close()
            return "ended"

        return follow

    async with asyncio.TaskGroup() as group:
        group.create_task(again(tally, post_large(site)))
        group.create_task(side_by_side(connections, tally, follower))
