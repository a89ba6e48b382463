"""Many subscriptions of one topic: each message is sent as often as there are subscriptions."""

from flood_suite.attempts import Tally, first_of, side_by_side
from flood_suite.floods.busy_topic import post_large
from flood_suite.site import FLOODER, Site, topic
from flood_suite.sockets import connected


async def flood(site: Site, tally: Tally, *, connections: int, subscriptions: int) -> None:
    """A member posts large messages meanwhile."""
    token = site.token(FLOODER)

    async def follow(number: int) -> str:
        async with connected(site, token) as socket:
            for index in range(subscriptions):
                await socket.subscribe(topic(site.bad_room), f"s{index}")
                tally["subscribed"] += 1
            await socket.swallow()
        return "ended"

    await first_of(post_large(site, tally), side_by_side(connections, tally, follow))
