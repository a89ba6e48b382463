"""Resumes over large messages: what one of them has read is of no use to the other."""

from collections.abc import Awaitable, Callable

from flood_suite.attempts import Tally, side_by_side
from flood_suite.floods.large_history import MESSAGES, large_history
from flood_suite.site import FLOODER, Site, topic
from flood_suite.sockets import Socket

prepare = large_history


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """Each begins somewhere else, reads a few messages, and begins again."""
    token = site.token(FLOODER)

    def resumer(number: int) -> Callable[[], Awaitable[str]]:
        async def resume() -> str:
            socket = await Socket.open(site, token=token)
            try:
                await socket.connect(token)
                for turn in range(1000):
                    after = str((MESSAGES // sockets * number + 7 * turn) % MESSAGES)
                    id = f"s{turn}"
                    socket.send(
                        "SUBSCRIBE",
                        {"destination": topic(site.bad_room), "id": id, "resume-after": after},
                    )
                    await socket.until(b"MESSAGE")
                    socket.send("UNSUBSCRIBE", {"id": id, "receipt": id})
                    await socket.until(b"RECEIPT")
                    tally["resumed"] += 1
            finally:
                socket.close()
            return "a thousand resumes"

        return resume

    await side_by_side(sockets, tally, resumer)
