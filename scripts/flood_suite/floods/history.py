"""Reads of the same large page of the history, each as soon as the last one is answered."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.floods.large_history import large_history
from flood_suite.http import Persistent
from flood_suite.site import FLOODER, Site

prepare = large_history


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """The answers are read, which costs this process less than making them costs the gateway."""
    token = site.token(FLOODER)
    path = f"/api/rooms/{site.bad_room}/messages?limit=500"
    standing = [Persistent(site) for _ in range(connections)]

    async def read(number: int) -> str:
        return f"read {(await standing[number].ask('GET', path, token=token)).code}"

    await side_by_side(connections, tally, read)
