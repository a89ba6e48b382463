"""Exports of a room with large messages, each begun again as soon as it is there."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.floods.large_history import large_history
from flood_suite.http import Http
from flood_suite.site import FLOODER, Site

prepare = large_history
_KINDS = ("messages.csv", "page.html", "polls.csv", "questions.csv", "attendance.csv")


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """By the room's host."""
    token = site.token(FLOODER, "host")

    async def export(number: int) -> str:
        kind = _KINDS[number % len(_KINDS)]
        async with await Http.open(site) as http:
            path = f"/api/rooms/{site.bad_room}/export/{kind}"
            return f"{kind} {(await http.ask('GET', path, token=token)).code}"

    await side_by_side(connections, tally, export)
