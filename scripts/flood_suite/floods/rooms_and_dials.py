"""Rooms, each with its private queue, and a relay to each queue: all of it costs RabbitMQ."""

import json

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import FLOODER, Site, queue
from flood_suite.sockets import connected

_AT_ONCE = 4


async def flood(site: Site, tally: Tally) -> None:
    """Make a room, read its queue, leave; again."""
    token = site.token(FLOODER, "host")

    async def make_and_dial(number: int) -> str:
        async with await Http.open(site) as http:
            answer = await http.ask("POST", "/api/rooms", token=token, body={"title": "one more"})
        if answer.status not in (201, 202):
            return f"room {answer.code}"
        async with connected(site, token) as socket:
            await socket.subscribe(queue(int(json.loads(answer.body)["id"])), ack="client")
        return "room and relay"

    await side_by_side(_AT_ONCE, tally, make_and_dial)
