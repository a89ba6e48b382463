"""Connections that say nothing: accepting them costs a descriptor, and with TLS a handshake."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import Site


async def flood(site: Site, tally: Tally, *, at_once: int) -> None:
    """Connect (with TLS: shake hands) and leave."""

    async def come_and_go(number: int) -> str:
        async with await Http.open(site):
            return "came"

    await side_by_side(at_once, tally, come_and_go)
