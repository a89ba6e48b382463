"""SUBSCRIBE and UNSUBSCRIBE: each pair may bind and unbind a topic at the broker."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.site import FLOODER, Site, topic
from flood_suite.sockets import connected, frame

_PAIRS = 20


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """Twenty pairs at once, then wait for the last answer; again."""
    token = site.token(FLOODER)
    pair = frame("SUBSCRIBE", {"destination": topic(site.bad_room), "id": "s"}) + frame(
        "UNSUBSCRIBE", {"id": "s"}
    )
    last = frame("SEND", {"destination": "/gateway/ping", "receipt": "end"})

    async def loop(number: int) -> str:
        async with connected(site, token) as socket:
            while True:
                await socket.flood(pair * _PAIRS + last)
                await socket.until(b"RECEIPT")
                tally["pairs"] += _PAIRS

    await side_by_side(sockets, tally, loop)
