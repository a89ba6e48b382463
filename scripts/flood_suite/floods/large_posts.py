"""Posts of one body by one participant, each as soon as the last one is answered."""

import json

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Persistent
from flood_suite.site import FLOODER, Site

#: Characters of a message that is as large as may be, and brackets of one that is all depth.
_CHARACTERS, _DEPTH = 65_000, 20_000


async def flood(
    site: Site, tally: Tally, *, connections: int, instant: int = 0, deep: int = 0
) -> None:
    """To a room of the flooder's own. ``instant``: messages that are not stored; ``deep``: JSON of
    balanced brackets, which has to be read to its end."""
    token = site.token(FLOODER)
    path = f"/api/rooms/{site.bad_room}/messages"
    importance = "instant" if instant else "guaranteed"
    message = {"type": "chat", "importance": importance, "body": "x" * _CHARACTERS}
    body = json.dumps(message).encode()
    if deep:
        body = b'{"body":' + b"[" * _DEPTH + b"]" * _DEPTH + b"}"
    standing = [Persistent(site) for _ in range(connections)]

    async def post(number: int) -> str:
        return f"post {(await standing[number].ask('POST', path, token=token, body=body)).code}"

    await side_by_side(connections, tally, post)
