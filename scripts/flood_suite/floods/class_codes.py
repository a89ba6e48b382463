"""Class codes: those who knock and ask whether they are let in, and a host who looks and renews."""

import json
from itertools import count

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Persistent
from flood_suite.site import FLOODER, Site

#: Of the letters that codes have, those of the ones that are guessed.
_LETTERS = "BCDFGHJKMP"


async def flood(
    site: Site, tally: Tally, *, connections: int, wrong: int = 0, renew: int = 0
) -> None:
    """Half of the connections knock under new names, half ask for the list of those who wait.
    ``wrong``: codes are guessed instead; ``renew``: the host makes one new code after the other."""
    token = site.token(FLOODER, "host")
    path = f"/api/rooms/{site.bad_room}"
    standing = [Persistent(site) for _ in range(connections)]
    numbers = count()

    async def make(number: int) -> str:
        wanted = {"guests": "yes", "renew": True}
        answer = await standing[number].ask("POST", f"{path}/code", token=token, body=wanted)
        return f"renewed {answer.code}"

    async def guess(number: int) -> str:
        code = "".join(_LETTERS[int(digit)] for digit in f"{next(numbers):06d}")
        answer = await standing[number].ask("POST", "/api/join", body={"code": code})
        return f"guessed {answer.code}"

    made = await standing[0].ask("POST", f"{path}/code", token=token, body={"guests": "knock"})
    code = json.loads(made.body).get("code", "")

    async def knock_or_look(number: int) -> str:
        http = standing[number]
        if number % 2:
            return f"looked {(await http.ask('GET', f'{path}/knocks', token=token)).code}"
        comer = {"code": code, "nickname": f"knocker {next(numbers)}"}
        return f"knocked {(await http.ask('POST', '/api/join', body=comer)).code}"

    await side_by_side(connections, tally, guess if wrong else make if renew else knock_or_look)
