"""Reads of a room's kept state, each as soon as the last one is answered."""

import json

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http, Persistent
from flood_suite.site import FLOODER, Site

#: Entries, and characters of each; together some megabytes.
_ENTRIES, _SIZE = 200, 15_000


async def prepare(site: Site) -> None:
    """Write what there is to read."""
    token = site.token(FLOODER, "host")
    path = f"/api/rooms/{site.bad_room}/messages"
    async with await Http.open(site) as http:
        for number in range(_ENTRIES):
            entry = {"type": "board", "keep": f"board:{number}", "body": "x" * _SIZE}
            answer = await http.ask("POST", path, token=token, body=entry)
            if answer.status not in (201, 202, 429):
                raise RuntimeError(f"no kept state: {answer.code}")


async def flood(site: Site, tally: Tally, *, connections: int, changed: int = 0) -> None:
    """The whole state, or only what has ``changed``, which is nothing."""
    token = site.token(FLOODER)
    path = f"/api/rooms/{site.bad_room}/state"
    async with await Http.open(site) as http:
        found = await http.ask("GET", f"{path}?limit=1", token=token)
    head = json.loads(found.body).get("seq", 0) if found.status == 200 else 0
    asked = f"{path}?after={head + 1_000_000}" if changed else f"{path}?limit=500"
    standing = [Persistent(site) for _ in range(connections)]

    async def read(number: int) -> str:
        return f"read {(await standing[number].ask('GET', asked, token=token)).code}"

    await side_by_side(connections, tally, read)
