"""A hundred open dashboards of one admin."""

from collections.abc import Awaitable, Callable

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import Site

_OPEN = 100


async def flood(site: Site, tally: Tally) -> None:
    """Each is read, and opened again when it ends."""
    token = site.token("principal", "admin")

    def viewer(number: int) -> Callable[[], Awaitable[str]]:
        async def view() -> str:
            http = await Http.open(site)
            try:
                http.send("GET", "/api/admin/live", token=token)
                status = (await http.reader.readline())[9:12].decode()
                tally[f"opened {status}"] += 1
                while data := await http.reader.read(1 << 18):
                    tally["kilobytes"] += len(data) // 1024
            finally:
                http.close()
            return f"ended {status}"

        return view

    await side_by_side(_OPEN, tally, viewer)
