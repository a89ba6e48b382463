"""Log-ins with a password: each costs an argon2 hash."""

from itertools import count

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import FLOODER, PASSWORD, Site


async def flood(site: Site, tally: Tally, *, at_once: int, wrong: int = 0) -> None:
    """``wrong``: each with a name that nobody has, so that no guesser is slowed by the name."""
    names = count()

    async def log_in(number: int) -> str:
        user = f"nobody{next(names)}" if wrong else FLOODER
        async with await Http.open(site) as http:
            body = {"user": user, "password": PASSWORD}
            return (await http.ask("POST", "/api/session", body=body)).code

    await side_by_side(at_once, tally, log_in)
