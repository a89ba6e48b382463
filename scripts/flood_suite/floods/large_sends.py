"""STOMP SENDs of large messages, without waiting for any answer."""

from flood_suite.attempts import Tally, again
from flood_suite.site import FLOODER, Site, topic
from flood_suite.sockets import Socket, frame

_SIZE = 60_000


async def flood(site: Site, tally: Tally) -> None:
    """On one connection, as fast as the gateway reads it."""
    token = site.token(FLOODER)
    headers = {"destination": topic(site.bad_room), "content-type": "text/plain", "type": "chat"}
    message = frame("SEND", headers, b"x" * _SIZE)

    async def send() -> str:
        socket = await Socket.open(site, token=token)
        try:
            await socket.connect(token)
            for _ in range(1000):
                await socket.flood(message)
                tally["sent"] += 1
        finally:
            socket.close()
        return "a thousand messages"

    await again(tally, send)
