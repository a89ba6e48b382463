"""Acknowledgements of messages that were never delivered, on a private queue."""

from flood_suite.attempts import Tally, first_of, side_by_side
from flood_suite.site import FLOODER, Site, queue
from flood_suite.sockets import connected, frame, pour


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """ACK and NACK of what is not there."""
    token = site.token(FLOODER, "host")
    nonsense = b"".join(
        frame(command, {"id": f"{number}-none"})
        for number in range(50)
        for command in ("ACK", "NACK")
    )

    async def acknowledge(number: int) -> str:
        async with connected(site, token) as socket:
            await socket.subscribe(queue(site.bad_room), ack="client-individual")
            await first_of(socket.swallow(), pour(socket, nonsense, tally))
        return "ended"

    await side_by_side(sockets, tally, acknowledge)
