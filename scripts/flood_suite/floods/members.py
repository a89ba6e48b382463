"""Members who are added and removed: each change is a transaction and news for all gateways."""

from collections.abc import Awaitable, Callable

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import FLOODER, Site


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """In the flooder's own room; each connection has a member of its own."""
    token = site.token(FLOODER, "host")

    def changer(number: int) -> Callable[[], Awaitable[str]]:
        path = f"/api/rooms/{site.bad_room}/members/guest{number}"

        async def change() -> str:
            http = await Http.open(site)
            try:
                for _ in range(1000):
                    body = {"role": "participant"}
                    answer = await http.ask("PUT", path, token=token, body=body)
                    tally[f"added {answer.code}"] += 1
                    answer = await http.ask("DELETE", path, token=token)
                    tally[f"removed {answer.code}"] += 1
            finally:
                http.close()
            return "a thousand changes"

        return change

    await side_by_side(connections, tally, changer)
