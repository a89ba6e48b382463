"""Sessions that one user opens by token, looks at, lists and ends: each is a row of a table."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Persistent
from flood_suite.site import FLOODER, Site


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """What is asked when no session is to be had any more, is asked by the token."""
    token = site.token(FLOODER)
    standing = [Persistent(site) for _ in range(connections)]

    async def come_and_go(number: int) -> str:
        http = standing[number]
        opened = await http.ask("POST", "/api/session", body={"token": token})
        cookie, _, _ = opened.headers.get("set-cookie", "").partition(";")
        proof = f"Cookie: {cookie}" if cookie else f"Authorization: Bearer {token}"
        shown = await http.ask("GET", "/api/session", proof)
        listed = await http.ask("GET", "/api/sessions", proof)
        ended = await http.ask("DELETE", "/api/session", proof)
        codes = (each.code for each in (opened, shown, listed, ended))
        return "opened {}, shown {}, listed {}, ended {}".format(*codes)

    await side_by_side(connections, tally, come_and_go)
