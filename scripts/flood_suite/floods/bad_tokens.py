"""CONNECT with tokens that nobody has issued: each costs a signature's check."""

from itertools import count

from bench_suite import gateways
from flood_suite.attempts import Tally, side_by_side
from flood_suite.site import FLOODER, Site
from flood_suite.sockets import Socket


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """Each token is another one, so that no cache knows it."""
    names = count()

    async def connect(number: int) -> str:
        name = f"{FLOODER}{next(names)}"
        async with await Socket.open(site) as socket:
            await socket.connect(gateways.token("not the secret" * 3, name, "admin"))
        return "LET IN"

    await side_by_side(sockets, tally, connect)
