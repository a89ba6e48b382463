"""Heads of requests that come a byte at a time, each in a packet of its own."""

import asyncio

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import Site

#: Bytes of a head; a longer one would be refused.
_BYTES = 12_000


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """Without credentials, on all connections at once, as fast as the gateway reads them."""

    async def drip(number: int) -> str:
        async with await Http.open(site) as http:
            http.writer.write(f"GET / HTTP/1.1\r\nHost: {site.host}\r\nX: ".encode())
            for _ in range(_BYTES):
                http.writer.write(b"x")
                await http.writer.drain()
                await asyncio.sleep(0)
                tally["bytes"] += 1
            http.writer.write(b"\r\n\r\n")
            return f"head {(await http.answer()).code}"

    await side_by_side(connections, tally, drip)
