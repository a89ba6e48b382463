"""Pages of connections, also of ten thousand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from itertools import pairwise
from random import Random

import pytest

from gateway.admin.connections import Connections, Page, Query, Sort, merge
from gateway.live.client.registry import ConnectionState
from tests.integration.http.live_fake import state


class Observed:
    """A connection with a fixed state."""

    def __init__(self, state: ConnectionState) -> None:
        self.state = state
        self.asked = 0

    def snapshot(self) -> ConnectionState:
        self.asked += 1
        return self.state


def gateway(name: str, states: Iterable[ConnectionState]) -> Connections:
    return Connections([Observed(each) for each in states], gateway=name, clock=lambda: 0.0)


def people(count: int) -> list[ConnectionState]:
    """In no order, and every third on a node of its own."""
    rng = Random(7)  # noqa: S311 - the same course every time
    return [
        state(
            f"{number:012x}",
            user=None if number % 11 == 0 else f"User-{number % 500}",
            rooms=(number % 40,),
            node=None if number % 3 else "r1",
            since=float(rng.randrange(1000)),
            bytes_out=rng.randrange(50),
            expires_at=None if number % 7 == 0 else float(number),
        )
        for number in range(count)
    ]


async def all_pages(gateways: list[Connections], query: Query) -> list[tuple[str, str]]:
    """Gateway and id of every row, page after page."""
    found: list[tuple[str, str]] = []
    while True:
        page = merge([await each.page(query) for each in gateways], query)
        assert len(page.rows) <= query.size
        found += [(row["gateway"], row["id"]) for row in page.rows]
        if not page.more:
            assert len(found) == page.matching
            return found
        query = Query(
            search=query.search,
            sort=query.sort,
            descending=query.descending,
            after=query.key(page.rows[-1]),
            size=query.size,
        )


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", Sort)
def test_page_after_page_gives_everybody_once_and_in_order(sort: Sort, descending: bool) -> None:
    async def scenario() -> None:
        states = people(600)
        gateways = [gateway("a", states[:350]), gateway("b", states[350:])]
        found = await all_pages(gateways, Query(sort=sort, descending=descending, size=37))
        assert len(found) == len(set(found)) == 600
        by_id = {each.id: each for each in states}
        values = [getattr(by_id[id], sort) for _, id in found]
        last: str | float = "" if sort in (Sort.USER, Sort.NODE) else 1e18
        ordered = [last if value is None else value for value in values]
        assert ordered == sorted(ordered, reverse=descending)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("search", "fits"),
    [
        ("user-12", {"1", "2"}),
        ("192.0.2.9", {"3"}),
        ("r2", {"3"}),
        ("42", {"2"}),
        ("gate", {"1", "2", "3"}),
        ("nobody", set()),
    ],
)
def test_a_search_finds_user_address_node_room_and_gateway(search: str, fits: set[str]) -> None:
    async def scenario() -> None:
        states = [
            state("1", user="User-12"),
            state("2", user="USER-120", rooms=(4, 42)),
            state("3", user=None, address="192.0.2.9", node="R2", rooms=(142,)),
        ]
        page = await gateway("Gate-A", states).page(Query(search=search))
        assert {row["id"] for row in page.rows} == fits
        assert (page.total, page.matching) == (3, len(fits))

    asyncio.run(scenario())


def test_no_gateways_have_no_page() -> None:
    assert merge([], Query()) == Page([], 0, 0, 0)


def test_a_list_read_within_a_second_is_shown_to_all() -> None:
    async def scenario() -> None:
        now = [0.0]
        one = Observed(state("1"))
        connections = Connections([one], gateway="a", clock=lambda: now[0])
        await asyncio.gather(*(connections.page(Query()) for _ in range(5)))
        assert one.asked == 1
        now[0] = 1.0
        await connections.page(Query())
        assert one.asked == 2

    asyncio.run(scenario())


def test_a_page_of_ten_thousand_never_holds_the_loop_for_long() -> None:
    async def scenario() -> None:
        connections = gateway("a", people(10_000))
        turns = [time.thread_time()]

        async def watch() -> None:
            while True:
                await asyncio.sleep(0)
                turns.append(time.thread_time())

        watching = asyncio.create_task(watch())
        query = Query(search="user-4", sort=Sort.BYTES_OUT, descending=True)
        page = await connections.page(query)
        watching.cancel()
        assert (page.total, len(page.rows)) == (10_000, 50)
        longest = max(b - a for a, b in pairwise(turns))
        # CPU time; one or two milliseconds where nothing measures coverage.
        assert longest < 0.05
        assert len(turns) > 60, "in many turns"

    asyncio.run(scenario())
