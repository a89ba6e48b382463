"""Posts as large as they may be, each as soon as the last one is answered."""

from collections.abc import Awaitable, Callable

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import FLOODER, Site


async def flood(site: Site, tally: Tally, *, connections: int, instant: int = 0) -> None:
    """To a room of the flooder's own; ``instant``: messages that are not stored."""
    token = site.token(FLOODER)
    path = f"/api/rooms/{site.bad_room}/messages"
    message = {"type": "chat", "body": "x" * (65_536 - 120)}
    if instant:
        message["importance"] = "instant"

    def poster(number: int) -> Callable[[], Awaitable[str]]:
        async def post() -> str:
            http = await Http.open(site)
            try:
                for _ in range(1000):
                    answer = await http.ask("POST", path, token=token, body=message)
                    tally[f"post {answer.code}"] += 1
            finally:
                http.close()
            return "a thousand posts"

        return post

    await side_by_side(connections, tally, poster)
