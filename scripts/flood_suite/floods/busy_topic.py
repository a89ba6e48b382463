"""Large messages for the topic of the bad room."""

from collections.abc import Awaitable, Callable

from flood_suite.http import Http
from flood_suite.site import Site, bad_member

#: Bytes of a message.
_SIZE = 30_000


def post_large(site: Site, size: int = _SIZE) -> Callable[[], Awaitable[str]]:
    """An action that posts one message as a member, on a connection that stays."""
    token = site.token(bad_member(0))
    path = f"/api/rooms/{site.bad_room}/messages"
    standing: list[Http] = []

    async def post() -> str:
        if not standing:
            standing.append(await Http.open(site))
        try:
            message = {"type": "chat", "body": "x" * size}
            return f"post {(await standing[0].ask('POST', path, token=token, body=message)).code}"
        except (OSError, EOFError):
            standing.pop().close()
            raise

    return post
