"""Acknowledgements of messages that were never delivered, on a private queue."""

from collections.abc import Awaitable, Callable

from flood_suite.attempts import Tally, side_by_side
from flood_suite.site import FLOODER, Site, queue
from flood_suite.sockets import Socket, frame


async def flood(site: Site, tally: Tally, *, sockets: int) -> None:
    """ACK, NACK, and transactions around them, all of what is not there."""
    token = site.token(FLOODER, "host")
    nonsense = b"".join(
        frame(command, {"id": f"{number}-none"})
        for number in range(50)
        for command in ("ACK", "NACK")
    )

    def host(number: int) -> Callable[[], Awaitable[str]]:
        async def acknowledge() -> str:
            socket = await Socket.open(site, token=token)
            try:
                await socket.connect(token)
                await socket.subscribe(queue(site.bad_room), ack="client-individual")
                for _ in range(1000):
                    await socket.flood(nonsense)
                    tally["acknowledged"] += 100
            finally:
                socket.close()
            return "a thousand rounds"

        return acknowledge

    await side_by_side(sockets, tally, host)
