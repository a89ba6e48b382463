"""Posts whose bodies come in chunks of one byte, as fast as the gateway reads them."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import FLOODER, Site

_CHUNK = b"1\r\n \r\n"
_END = b'e\r\n{"body":"end"}\r\n0\r\n\r\n'
#: Chunks of a body, a thousand at a time.
_THOUSANDS = 60


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """Each body is blanks, then JSON: all of it is good."""
    token = site.token(FLOODER)
    path = f"/api/rooms/{site.bad_room}/messages"

    async def drip(number: int) -> str:
        async with await Http.open(site) as http:
            http.writer.write(http.head("POST", path, token, "Transfer-Encoding: chunked"))
            for _ in range(_THOUSANDS):
                http.writer.write(_CHUNK * 1000)
                await http.writer.drain()
                tally["chunks"] += 1000
            http.writer.write(_END)
            return f"post {(await http.answer()).code}"

    await side_by_side(connections, tally, drip)
