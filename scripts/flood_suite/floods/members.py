"""Members who are added and removed: each change is a transaction and news for all gateways."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Persistent
from flood_suite.site import FLOODER, Site


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """In the flooder's own room; each connection has a member of its own."""
    token = site.token(FLOODER, "host")
    standing = [Persistent(site) for _ in range(connections)]

    async def change(number: int) -> str:
        path = f"/api/rooms/{site.bad_room}/members/guest{number}"
        http = standing[number]
        added = await http.ask("PUT", path, token=token, body={"role": "participant"})
        removed = await http.ask("DELETE", path, token=token)
        return f"added {added.code}, removed {removed.code}"

    await side_by_side(connections, tally, change)
