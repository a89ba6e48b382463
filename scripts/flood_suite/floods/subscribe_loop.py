"""SUBSCRIBE and UNSUBSCRIBE: each pair may bind and unbind a topic at the broker."""

from collections.abc import Awaitable, Callable

from flood_suite.attempts import Tally, side_by_side
from flood_suite.site import FLOODER, Site, topic
from flood_suite.sockets import Socket, frame

_PAIRS = 20


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """Twenty pairs at once, then wait for the last answer; again."""
    token = site.token(FLOODER)
    pair = frame("SUBSCRIBE", {"destination": topic(site.bad_room), "id": "s"}) + frame(
        "UNSUBSCRIBE", {"id": "s"}
    )
    last = frame("SEND", {"destination": "/gateway/ping", "receipt": "end"}, b"")

    def looper(number: int) -> Callable[[], Awaitable[str]]:
        async def loop() -> str:
            socket = await Socket.open(site, token=token)
            try:
                await socket.connect(token)
                for _ in range(1000):
                    await socket.flood(pair * _PAIRS + last)
                    await socket.until(b"RECEIPT")
                    tally["pairs"] += _PAIRS
            finally:
                socket.close()
            return "a thousand rounds"

        return loop

    await side_by_side(sockets, tally, looper)
