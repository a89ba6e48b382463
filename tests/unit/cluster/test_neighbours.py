"""Whether a gateway knows that it alone has lost the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from broker.timing.tasks import Tasks
from gateway.cluster.clocks import Clocks
from gateway.cluster.neighbours import KNOWN, Neighbours
from gateway.errors import StoreUnavailable
from gateway.store.records import Meeting, Neighbour
from tests import virtual_time


class Place:
    """What the database says of the others; None: it is away."""

    def __init__(self, *others: Neighbour) -> None:
        self.others: tuple[Neighbour, ...] | None = others
        self.told: list[bool] = []

    async def meet(self, name: str, *, hears: bool, clock: Callable[[], float]) -> Meeting:
        if self.others is None:
            raise StoreUnavailable("away")
        self.told.append(hears)
        return Meeting(2.0, self.others)


class Hearing:
    """The bus, as this gateway hears it."""

    hears = silent = False


def hears(name: str) -> Neighbour:
    return Neighbour(name, hears=True, ahead=9.0)


def deaf(name: str) -> Neighbour:
    return Neighbour(name, hears=False, ahead=None)


@pytest.mark.parametrize(
    ("silent", "others", "expected"),
    [
        (True, [hears("north")], True),
        (True, [deaf("north"), hears("south")], True),
        # The whole cluster is down; there is one gateway; or it hears again.
        (True, [deaf("north")], False),
        (True, [], False),
        (False, [hears("north")], False),
    ],
)
def test_it_is_deaf_if_it_hears_nothing_while_another_does(
    silent: bool, others: list[Neighbour], expected: bool
) -> None:
    async def main() -> None:
        place, hearing, deafened = Place(*others), Hearing(), []
        hearing.silent, hearing.hears = silent, not silent
        neighbours = Neighbours(
            place,
            Clocks(),
            name="here",
            hearing=hearing,
            deafened=lambda: deafened.append(True),
            clock=lambda: 0.0,
            tasks=Tasks(),
        )
        assert not neighbours.deaf
        await neighbours.look()
        assert neighbours.deaf is expected
        assert bool(deafened) is expected
        assert place.told == [not silent]
        known = {each.name: each.ahead for each in others}
        assert neighbours.clocks.ahead("north") == (7.0 if known.get("north") else 0.0)
        # Without the database it knows nothing of the others.
        place.others = None
        with pytest.raises(StoreUnavailable):
            await neighbours.look()
        assert neighbours.deaf is expected
        await asyncio.sleep(KNOWN + 0.1)
        assert not neighbours.deaf

    virtual_time.run(main())
