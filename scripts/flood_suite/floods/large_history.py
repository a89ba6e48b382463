"""A room with a history of large messages, which several floods read."""

import asyncio

from flood_suite.http import Http
from flood_suite.site import Site, bad_member

#: Messages, their bytes, and the members who post them: nobody may post as many alone at once.
MESSAGES, SIZE, _AUTHORS = 500, 60_000, 10
#: Seconds before a post that was refused is tried again, and how often.
_AGAIN, _TRIES = 1.0, 60


async def large_history(site: Site) -> None:
    """Post what there is to read, unless it is there already."""
    first = await Http.open(site)
    path = f"/api/rooms/{site.bad_room}/messages"
    answer = await first.ask("GET", f"{path}?after={MESSAGES - 1}", token=site.token(bad_member(0)))
    first.close()
    if answer.status == 200 and b'"seq"' in answer.body:
        return

    async def post(author: int) -> None:
        token = site.token(bad_member(author))
        http = await Http.open(site)
        message = {"type": "chat", "body": "x" * SIZE}
        for _ in range(MESSAGES // _AUTHORS):
            for _ in range(_TRIES):
                answer = await http.ask("POST", path, token=token, body=message)
                if answer.status in (201, 202):
                    break
                await asyncio.sleep(_AGAIN)
            else:
                raise RuntimeError(f"no history: {answer.code}")
        http.close()

    await asyncio.gather(*map(post, range(_AUTHORS)))
