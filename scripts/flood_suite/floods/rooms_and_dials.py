"""Rooms, each with its private queue, and a relay to each queue: all of it costs RabbitMQ."""

import json

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import FLOODER, Site, queue
from flood_suite.sockets import Socket

_AT_ONCE = 4


async def flood(site: Site, tally: Tally) -> None:
    """Make a room, read its queue, leave; again."""
    token = site.token(FLOODER, "host")

    async def make_and_dial() -> str:
        http = await Http.open(site)
        try:
            answer = await http.ask("POST", "/api/rooms", token=token, body={"title": "one more"})
        finally:
            http.close()
        if answer.status not in (201, 202):
            return f"room {answer.code}"
        socket = await Socket.open(site, token=token)
        try:
            await socket.connect(token)
            await socket.subscribe(queue(int(json.loads(answer.body)["id"])), ack="client")
        finally:
            socket.close()
        return "room and relay"

    await side_by_side(_AT_ONCE, tally, lambda number: make_and_dial)
