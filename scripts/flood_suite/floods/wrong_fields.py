"""JSON that is good, and of which nothing fits: each wrong field has its own description."""

import json

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Persistent
from flood_suite.site import FLOODER, Site

#: Members that a room is to have, and the fields of each, none of which there is.
_MEMBERS, _FIELDS = 900, 7


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """A host asks for rooms with such members."""
    token = site.token(FLOODER, "host")
    fields = {f"f{number}": number for number in range(_FIELDS)}
    body = json.dumps({"title": "wrong", "members": [fields] * _MEMBERS}).encode()
    standing = [Persistent(site) for _ in range(connections)]

    async def ask(number: int) -> str:
        answer = await standing[number].ask("POST", "/api/rooms", token=token, body=body)
        return f"asked {answer.code}"

    await side_by_side(connections, tally, ask)
