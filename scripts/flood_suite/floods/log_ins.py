"""Log-ins with a password: each costs an argon2 hash."""

from collections.abc import Awaitable, Callable
from itertools import count

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import FLOODER, PASSWORD, Site


async def flood(site: Site, tally: Tally, *, at_once: int, wrong: int = 0) -> None:
    """``wrong``: each with a name that nobody has, so that no guesser is slowed by the name."""
    names = count()

    def guesser(number: int) -> Callable[[], Awaitable[str]]:
        async def log_in() -> str:
            user = f"nobody{next(names)}" if wrong else FLOODER
            http = await Http.open(site)
            try:
                body = {"user": user, "password": PASSWORD}
                return (await http.ask("POST", "/api/session", body=body)).code
            finally:
                http.close()

        return log_in

    await side_by_side(at_once, tally, guesser)
