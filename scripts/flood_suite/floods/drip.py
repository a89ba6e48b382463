"""Posts whose bodies come in chunks of one byte, as fast as the gateway reads them."""

from collections.abc import Awaitable, Callable

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import FLOODER, Site

_CHUNK = b"1\r\n \r\n"


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """Each body is 60,000 chunks, then valid JSON."""
    token = site.token(FLOODER)
    chunks = _CHUNK * 1000

    def dripper(number: int) -> Callable[[], Awaitable[str]]:
        async def drip() -> str:
            http = await Http.open(site)
            path = f"/api/rooms/{site.bad_room}/messages"
            try:
                http.writer.write(http.head("POST", path, token, "Transfer-Encoding: chunked"))
                for _ in range(60):
                    http.writer.write(chunks)
                    await http.writer.drain()
                http.writer.write(b'e\r\n{"body":"end"}\r\n0\r\n\r\n')
                return f"post {(await http.answer()).code}"
            finally:
                http.close()

        return drip

    await side_by_side(connections, tally, dripper)
