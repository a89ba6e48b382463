"""Large messages for the topic of the bad room."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Persistent
from flood_suite.site import Site, bad_member

_CHARACTERS = 30_000


async def post_large(site: Site, tally: Tally) -> None:
    """A member posts one message after the other, on a connection that stays."""
    token = site.token(bad_member(0))
    path = f"/api/rooms/{site.bad_room}/messages"
    standing = Persistent(site)
    message = {"type": "chat", "body": "x" * _CHARACTERS}

    async def post(number: int) -> str:
        return f"post {(await standing.ask('POST', path, token=token, body=message)).code}"

    await side_by_side(1, tally, post)
