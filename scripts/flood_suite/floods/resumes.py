"""Resumes over large messages: what one of them has read is of no use to the other."""

from itertools import count

from flood_suite.attempts import Tally, side_by_side
from flood_suite.floods.large_history import MESSAGES, large_history
from flood_suite.site import FLOODER, Site, topic
from flood_suite.sockets import connected

prepare = large_history


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """Each begins somewhere else, reads a few messages, and begins again."""
    token = site.token(FLOODER)

    async def resume(number: int) -> str:
        async with connected(site, token) as socket:
            for turn in count():
                after = str((MESSAGES // sockets * number + 7 * turn) % MESSAGES)
                id = f"s{turn}"
                headers = {"destination": topic(site.bad_room), "id": id, "resume-after": after}
                socket.send("SUBSCRIBE", headers)
                await socket.until(b"MESSAGE")
                socket.send("UNSUBSCRIBE", {"id": id, "receipt": id})
                await socket.until(b"RECEIPT")
                tally["resumed"] += 1
        return "ended"

    await side_by_side(sockets, tally, resume)
