"""A flood begins and ends when it is told, whatever its connections suffer."""

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import pytest

from flood_suite.attempts import Tally, again, first_of
from flood_suite.flooder import Flooder
from flood_suite.site import Site
from flood_suite.sockets import Refused


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port at which nobody listens, and nobody else can."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of another task's doing
            await asyncio.sleep(0)


def test_what_comes_of_the_attempts_is_counted_from_the_beginning(closed_port: int) -> None:
    site = Site(closed_port, "s" * 32, None, good_room=1, bad_room=2)

    async def twice() -> list[dict[str, int]]:
        flooder = Flooder("pings", site)
        await flooder.prepare()
        tallies = []
        for _ in range(2):
            await flooder.begin()
            await until(lambda: flooder.tally)
            tallies.append(dict(await flooder.end()))
        return tallies

    for tally in asyncio.run(twice()):
        assert tally.keys() == {"ConnectionRefusedError"}
        assert 1 <= tally["ConnectionRefusedError"] <= 8


def test_a_fault_of_the_flood_itself_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(site: Site, tally: Tally, **arguments: int) -> None:
        raise ZeroDivisionError

    async def run() -> None:
        flooder = Flooder("upgrades", Site(1, "s" * 32, None, good_room=1, bad_room=2))
        monkeypatch.setattr(flooder._module, "flood", broken)
        await flooder.begin()
        await asyncio.sleep(0)
        await flooder.end()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())


@pytest.mark.parametrize("error", [Refused("503"), OSError(), EOFError()])
def test_an_attempt_that_fails_is_made_again(error: Exception) -> None:
    tally: Tally = Counter()

    async def attempt() -> str:
        await asyncio.sleep(0)
        if tally.total() == 0:
            raise error
        return "in"

    async def run() -> None:
        going = asyncio.create_task(again(tally, attempt))
        await until(lambda: tally["in"])
        going.cancel()

    asyncio.run(run())
    assert len(tally) == 2


def test_parts_end_with_the_first_of_them_even_when_all_are_cancelled() -> None:
    ended = []

    async def part(name: str, action: Callable[[], Awaitable[object]]) -> None:
        try:
            await action()
        finally:
            ended.append(name)

    async def forever() -> None:
        await asyncio.Event().wait()

    async def fail() -> None:
        raise Refused("1008")

    async def run() -> None:
        with pytest.raises(Refused):
            await first_of(part("a", forever), part("b", fail))
        going = asyncio.create_task(first_of(part("c", forever), part("d", forever)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going

    asyncio.run(run())
    assert sorted(ended) == ["a", "b", "c", "d"]
