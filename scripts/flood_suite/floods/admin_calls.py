"""A script with an admin's token that asks for everything, without a pause."""

from itertools import count

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Persistent
from flood_suite.site import Site


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """It searches the connections, puts tokens on the revocation list, shows it, sends away people
    whom nobody knows, and has deleted what nobody has left."""
    token = site.token("principal", "admin")
    standing = [Persistent(site) for _ in range(connections)]
    numbers = count()

    async def ask(number: int) -> str:
        nobody = f"nobody{next(numbers)}"
        calls = (
            ("GET", "/api/admin/connections?search=a&sort=user&size=100", None),
            ("POST", "/api/admin/revocations", {"jti": nobody}),
            ("GET", "/api/admin/revocations", None),
            ("POST", "/api/admin/disconnect", {"user": nobody}),
            ("POST", "/api/admin/erasures", {"user": nobody}),
            ("GET", "/api/admin/erasures", None),
        )
        for method, path, body in calls:
            answer = await standing[number].ask(method, path, token=token, body=body)
            tally[f"{method} {path.partition('?')[0].rpartition('/')[2]} {answer.code}"] += 1
        return "all asked"

    await side_by_side(connections, tally, ask)
