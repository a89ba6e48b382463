"""CONNECT with tokens that nobody has issued: each costs a signature's check."""

from itertools import count

from bench_suite import gateways
from flood_suite.attempts import Tally, side_by_side
from flood_suite.site import FLOODER, Site
from flood_suite.sockets import Socket


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """Each token is another one, so that no cache knows it."""
    names = count()

    async def connect() -> str:
        socket = await Socket.open(site)
        try:
            name = f"{FLOODER}{next(names)}"
            await socket.connect(gateways.token("not the secret" * 3, name, "admin"))
        finally:
            socket.close()
        return "LET IN"

    await side_by_side(sockets, tally, lambda number: connect)
