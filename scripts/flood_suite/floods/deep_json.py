"""Posts of JSON that is nothing but depth."""

from collections.abc import Awaitable, Callable

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import FLOODER, Site

_DEPTH = 20_000


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """The brackets are balanced, so that the whole body has to be read."""
    token = site.token(FLOODER)
    path = f"/api/rooms/{site.bad_room}/messages"
    body = b'{"body":' + b"[" * _DEPTH + b"]" * _DEPTH + b"}"

    def poster(number: int) -> Callable[[], Awaitable[str]]:
        async def post() -> str:
            http = await Http.open(site)
            try:
                for _ in range(1000):
                    answer = await http.ask("POST", path, token=token, body=body)
                    tally[f"post {answer.code}"] += 1
            finally:
                http.close()
            return "a thousand posts"

        return post

    await side_by_side(connections, tally, poster)
