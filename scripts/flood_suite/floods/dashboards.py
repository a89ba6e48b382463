"""A hundred open dashboards of one admin."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import Site

_OPEN, _READ = 100, 1 << 18


async def flood(site: Site, tally: Tally) -> None:
    """Each is read, and opened again when it ends."""
    token = site.token("principal", "admin")

    async def view(number: int) -> str:
        async with await Http.open(site) as http:
            http.send("GET", "/api/admin/live", token=token)
            status = (await http.reader.readline())[9:12].decode()
            tally[f"opened {status}"] += 1
            while data := await http.reader.read(_READ):
                tally["bytes"] += len(data)
        return f"ended {status}"

    await side_by_side(_OPEN, tally, view)
