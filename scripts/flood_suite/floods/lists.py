"""The lists of a large room: its members, who is there, its rooms, and a pasted list of people."""

import json

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http, Persistent
from flood_suite.site import FLOODER, Site

#: People of the large room, and lines of a list that is checked: as many as there may be.
_MEMBERS, _LINES = 999, 5000


async def flood(site: Site, tally: Tally, *, connections: int, rosters: int = 0) -> None:
    """A host reads them again and again. ``rosters``: and has long lists checked instead."""
    token = site.token(FLOODER, "host")
    people = [{"user": f"p{number}", "role": "participant"} for number in range(_MEMBERS)]
    async with await Http.open(site) as http:
        made = await http.ask(
            "POST", "/api/rooms", token=token, body={"title": "large", "members": people}
        )
    path = f"/api/rooms/{json.loads(made.body)['id']}"
    standing = [Persistent(site) for _ in range(connections)]
    pasted = {"text": "\n".join(f"q{number}" for number in range(_LINES))}

    async def read(number: int) -> str:
        http = standing[number]
        members = await http.ask("GET", f"{path}/members", token=token)
        present = await http.ask("GET", f"{path}/presence", token=token)
        room = await http.ask("GET", path, token=token)
        return f"members {members.code}, present {present.code}, room {room.code}"

    async def check(number: int) -> str:
        answer = await standing[number].ask("POST", f"{path}/roster", token=token, body=pasted)
        return f"checked {answer.code}"

    await side_by_side(connections, tally, check if rosters else read)
