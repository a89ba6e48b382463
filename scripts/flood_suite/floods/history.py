"""Reads of the same large page of the history, each as soon as the last one is answered."""

from collections.abc import Awaitable, Callable

from flood_suite.attempts import Tally, side_by_side
from flood_suite.floods.large_history import large_history
from flood_suite.http import Http
from flood_suite.site import FLOODER, Site

prepare = large_history


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """The answers are read, which costs this process less than making them costs the gateway."""
    token = site.token(FLOODER)
    path = f"/api/rooms/{site.bad_room}/messages?limit=500"

    def reader(number: int) -> Callable[[], Awaitable[str]]:
        standing: list[Http] = []

        async def read() -> str:
            if not standing:
                standing.append(await Http.open(site))
            try:
                return f"read {(await standing[0].ask('GET', path, token=token)).code}"
            except (OSError, EOFError):
                standing.pop().close()
                raise

        return read

    await side_by_side(connections, tally, reader)
