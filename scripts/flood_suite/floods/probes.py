"""Questions of load balancers, which wait for nobody, from somebody who is none."""

from flood_suite.attempts import Tally, side_by_side
from flood_suite.http import Http
from flood_suite.site import Site

#: Requests that go out together.
_PIPELINED = 50
_PROBES = (("GET", "/healthz"), ("GET", "/readyz"), ("OPTIONS", "/"))


async def flood(site: Site, tally: Tally, *, connections: int) -> None:
    """Pipelined, without credentials, and all answers are read."""

    async def ask(number: int) -> str:
        async with await Http.open(site) as http:
            while True:
                for index in range(_PIPELINED):
                    http.send(*_PROBES[index % len(_PROBES)])
                await http.writer.drain()
                for _ in range(_PIPELINED):
                    tally[f"probe {(await http.answer()).status}"] += 1

    await side_by_side(connections, tally, ask)
