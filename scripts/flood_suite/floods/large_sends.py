"""STOMP SENDs of large messages, without waiting for any answer."""

from flood_suite.attempts import Tally, first_of, side_by_side
from flood_suite.site import FLOODER, Site, topic
from flood_suite.sockets import connected, frame, pour

_CHARACTERS = 60_000


async def flood(site: Site, tally: Tally) -> None:
    """On one connection, as fast as the gateway reads it."""
    token = site.token(FLOODER)
    headers = {"destination": topic(site.bad_room), "content-type": "text/plain", "type": "chat"}
    message = frame("SEND", headers, b"x" * _CHARACTERS)

    async def send(number: int) -> str:
        async with connected(site, token) as socket:
            await first_of(socket.swallow(), pour(socket, message, tally))
        return "ended"

    await side_by_side(1, tally, send)
