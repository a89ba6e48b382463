"""A room with a history of large messages, which several floods read."""

import asyncio

from flood_suite.http import Http
from flood_suite.site import BAD_MEMBERS, Site, bad_member

#: Messages, and characters of each. All members post them: nobody may post as many alone at once.
MESSAGES, SIZE = 500, 60_000
#: Seconds before a post that was refused is tried again, and how often.
_AGAIN, _TRIES = 1.0, 60


async def large_history(site: Site) -> None:
    """Post what there is to read, unless it is there already."""
    path = f"/api/rooms/{site.bad_room}/messages"
    async with await Http.open(site) as http:
        last = f"{path}?after={MESSAGES - 1}&limit=1"
        answer = await http.ask("GET", last, token=site.token(bad_member(0)))
    if answer.status != 200 or b'"seq"' not in answer.body:
        await asyncio.gather(*(_post_share(site, path, author) for author in range(BAD_MEMBERS)))


async def _post_share(site: Site, path: str, author: int) -> None:
    token = site.token(bad_member(author))
    message = {"type": "chat", "body": "x" * SIZE}
    async with await Http.open(site) as http:
        for _ in range(MESSAGES // BAD_MEMBERS):
            for _ in range(_TRIES):
                answer = await http.ask("POST", path, token=token, body=message)
                if answer.status in (201, 202):
                    break
                await asyncio.sleep(_AGAIN)
            else:
                raise RuntimeError(f"no history: {answer.code}")
