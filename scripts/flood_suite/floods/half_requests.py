"""HTTP requests that never end."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import FLOODER, Site

#: Bytes of a head that are not sent, and of a body that are.
_HELD_BACK, _BODY = 30, 1000


async def flood(site: Site, tally: Tally, *, requests: int, bodies: int = 0) -> None:
    """Half a head each, or (``bodies``) a head with half a body; replaced when it is closed."""
    token = site.token(FLOODER)
    path = f"/api/rooms/{site.bad_room}/messages"

    async def ask(number: int) -> str:
        async with await Http.open(site) as http:
            head = http.head("POST", path, token, "Content-Length: 60000")
            http.writer.write(head + b"x" * _BODY if bodies else head[:-_HELD_BACK])
            tally["begun"] += 1
            answer = await http.reader.read()
            return f"ended {answer[9:12].decode()}".rstrip()

    await side_by_side(requests, tally, ask)
