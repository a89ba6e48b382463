"""Hundreds of connections without credentials, each of which asks for a page without a pause."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import Site


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """From the address of the good room, as a pupil's machine behind the school's does."""

    async def ask(number: int) -> str:
        async with await Http.open(site) as http:
            while True:
                tally[f"page {(await http.ask('GET', '/')).status}"] += 1

    await side_by_side(connections, tally, ask)
