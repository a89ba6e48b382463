"""Requests for pages by people whom nobody knows."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import Site

#: Requests that go out together.
_PIPELINED = 20
_PATHS = ("/", "/static/interact/index.js", "/api/session", "/nothing/here")


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """Pipelined, and all answers are read."""

    async def ask(number: int) -> str:
        async with await Http.open(site) as http:
            while True:
                for index in range(_PIPELINED):
                    http.send("GET", _PATHS[index % len(_PATHS)])
                await http.writer.drain()
                for _ in range(_PIPELINED):
                    tally[f"page {(await http.answer()).status}"] += 1

    await side_by_side(connections, tally, ask)
