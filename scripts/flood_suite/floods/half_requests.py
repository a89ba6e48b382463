"""HTTP requests that never end."""

from collections.abc import Awaitable, Callable

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import FLOODER, Site


async def flood(site: Site, tally: Tally, *, requests: int, bodies: int = 0) -> None:
    """Half a head each, or (``bodies``) a head with half a body; replaced when it is closed."""
    token = site.token(FLOODER)

    def asker(number: int) -> Callable[[], Awaitable[str]]:
        async def ask() -> str:
            http = await Http.open(site)
            path = f"/api/rooms/{site.bad_room}/messages"
            head = http.head("POST", path, token, "Content-Length: 60000")
            try:
                http.writer.write(head + b"x" * 1000 if bodies else head[:-40])
                answer = await http.reader.read()
                return f"ended {answer[9:12].decode()}".rstrip()
            finally:
                http.close()

        return ask

    await side_by_side(requests, tally, asker)
