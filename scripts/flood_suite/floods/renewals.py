"""Renewals of a connection's token, each with another token whose signature has to be checked."""

from flood_suite.attempts import Tally, first_of, side_by_side
from flood_suite.site import FLOODER, Site
from flood_suite.sockets import connected, frame, pour

#: Tokens that take turns: more than any cache of one connection has.
_TOKENS = 500


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """All of them are good, and of the same user."""
    token = site.token(FLOODER)
    renewals = b"".join(
        frame(
            "SEND",
            {"destination": "/gateway/token"},
            site.token(FLOODER, jti=f"renewal {number}").encode(),
        )
        for number in range(_TOKENS)
    )

    async def renew(number: int) -> str:
        async with connected(site, token) as socket:
            await first_of(socket.swallow(), pour(socket, renewals, tally))
        return "ended"

    await side_by_side(sockets, tally, renew)
