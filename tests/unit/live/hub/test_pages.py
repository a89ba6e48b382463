"""One read of the history for all who need the same page."""

import asyncio
from dataclasses import replace

import pytest

from broker.timing.tasks import Cancelled
from broker.topology import Stream
from gateway.budget.budgets import Budgets
from gateway.budget.table import READ_BYTES
from gateway.config import Limits
from gateway.errors import NotKept, StoreUnavailable, TooMuchRead
from gateway.limits import LiveLimits
from gateway.live.hub.page_cache import PAGE
from gateway.live.hub.pages import CACHE, OWN, PORTION, READ, Pages
from gateway.store.records import Page
from tests.unit.live.fakes import DESTINATION, STREAM, FakeHistory
from tests.virtual_time import run, settle


async def after(pages: Pages, seq: int) -> list[int | None]:
    return [each.seq for each in await pages.after(STREAM, seq, destination=DESTINATION)]


def stored(count: int, body: str | None = None) -> FakeHistory:
    history = FakeHistory()
    history.store(count, body)
    return history


def test_all_who_want_the_same_page_at_once_share_its_read() -> None:
    async def scenario() -> None:
        history = stored(PAGE + 5)
        pages = Pages(history)
        found = await asyncio.gather(*(after(pages, seq % PAGE) for seq in range(500)))
        assert history.reads == [0]
        assert all(page[0] == seq % PAGE + 1 for seq, page in enumerate(found))

    run(scenario())


def test_a_page_that_was_read_is_kept_for_the_next_reader() -> None:
    async def scenario() -> None:
        history = stored(PAGE)
        pages = Pages(history)
        await after(pages, 0)
        await after(pages, 100)
        assert history.reads == [0]

    run(scenario())


def test_what_was_deleted_is_not_given_from_memory() -> None:
    async def scenario() -> None:
        history = stored(PAGE, "secret")
        pages = Pages(history)
        await after(pages, 0)
        # One page is in memory, another one is just being read.
        other = asyncio.create_task(pages.after(STREAM, 10, destination=DESTINATION))
        history.store(5, "secret")
        late = asyncio.create_task(pages.after(STREAM, PAGE, destination=DESTINATION))
        await settle()
        history.stored = [replace(each, body="gone") for each in history.stored]
        pages.forget()
        assert pages.cached == 0
        for seq in (0, PAGE):
            for each in await pages.after(STREAM, seq, destination=DESTINATION):
                assert b"secret" not in each.tail
        assert all(b"secret" not in each.tail for each in await late)
        assert await other

    run(scenario())


def test_messages_stored_since_are_read() -> None:
    async def scenario() -> None:
        history = stored(3)
        pages = Pages(history)
        assert await after(pages, 0) == [1, 2, 3]
        history.store(1)
        assert await after(pages, 3) == [4]

    run(scenario())


def test_a_read_that_is_older_than_the_question_is_repeated() -> None:
    async def scenario() -> None:
        history = stored(3)
        pages = Pages(history)
        first = asyncio.create_task(after(pages, 0))
        await settle()
        history.store(1)
        assert await after(pages, 3) == [4]
        assert await first == [1, 2, 3]

    run(scenario())


def test_at_the_end_there_is_nothing() -> None:
    async def scenario() -> None:
        assert await after(Pages(stored(3)), 3) == []
        assert await after(Pages(FakeHistory()), 0) == []

    run(scenario())


def test_messages_not_kept_are_reported_and_kept_ones_are_given() -> None:
    async def scenario() -> None:
        history = stored(300)
        history.first = 100
        pages = Pages(history)
        with pytest.raises(NotKept, match="from seq 100 on"):
            await after(pages, 98)
        assert (await after(pages, 99))[0] == 100

    run(scenario())


def test_a_store_that_is_away_is_told_to_all_who_wait_and_asked_again_by_the_next() -> None:
    async def scenario() -> None:
        history = stored(3)
        history.away = True
        pages = Pages(history)
        found = await asyncio.gather(*(after(pages, 0) for _ in range(5)), return_exceptions=True)
        assert [type(each) for each in found] == [StoreUnavailable] * 5
        assert history.reads == [0]
        history.away = False
        assert await after(pages, 0) == [1, 2, 3]

    run(scenario())


def test_one_who_leaves_does_not_take_the_page_from_the_others() -> None:
    async def scenario() -> None:
        history = stored(3)
        pages = Pages(history)
        leaving, staying = (asyncio.create_task(after(pages, 0)) for _ in range(2))
        await settle()
        leaving.cancel()
        assert await staying == [1, 2, 3]
        assert history.reads == [0]

    run(scenario())


def test_a_failure_that_nobody_waits_for_any_more_disturbs_nobody() -> None:
    async def scenario() -> None:
        history = stored(3)
        history.away = True
        waiting = asyncio.create_task(after(Pages(history), 0))
        await settle()
        waiting.cancel()
        await asyncio.sleep(1)

    run(scenario())


def test_large_messages_come_in_portions_without_a_hole_and_without_another_read() -> None:
    async def scenario() -> None:
        history = stored(15, "x" * (PORTION // 4))
        pages = Pages(history)
        seq, portions = 0, []
        while portion := await pages.after(STREAM, seq, destination=DESTINATION):
            assert sum(len(each.tail) for each in portion) <= PORTION
            portions.append([each.seq for each in portion])
            seq = portion[-1].seq or 0
            if seq == 15:
                break
        assert [seq for portion in portions for seq in portion] == list(range(1, 16))
        assert len(portions) > 4
        assert history.reads == [0]

    run(scenario())


def test_a_message_larger_than_a_portion_comes_alone() -> None:
    async def scenario() -> None:
        assert await after(Pages(stored(2, "x" * (2 * PORTION))), 0) == [1]

    run(scenario())


def test_kept_events_are_bounded() -> None:
    async def scenario() -> None:
        history = stored(3 * PAGE, "x" * 100)
        pages = Pages(history, cache=2 * PAGE * 500)
        for seq in (0, PAGE, 2 * PAGE, 0):
            await after(pages, seq)
        assert history.reads == [0, PAGE, 2 * PAGE, 0]
        tiny = Pages(history, cache=10)
        assert (await after(tiny, 0))[0] == 1

    run(scenario())


def test_closing_ends_the_reads() -> None:
    async def scenario() -> None:
        history = stored(1)
        history.latency = 1e6
        pages = Pages(history)
        waiting = asyncio.create_task(after(pages, 0))
        await settle()
        pages.close()
        # Who waits is not cancelled by that.
        with pytest.raises(Cancelled):
            await waiting

    run(scenario())


def test_a_page_that_the_store_gives_in_pieces_is_whole() -> None:
    async def scenario() -> None:
        history = stored(PAGE + 5)
        history.portion = 100
        pages = Pages(history)
        assert await after(pages, 90) == list(range(91, 101))
        assert await after(pages, 100) == list(range(101, 201))
        assert await after(pages, 200) == list(range(201, PAGE + 1))
        assert await after(pages, 150) == list(range(151, 201))
        assert history.reads == [0, 100, 200]
        assert await after(pages, PAGE) == list(range(PAGE + 1, PAGE + 6))

    run(scenario())


def test_messages_deleted_between_two_pieces_leave_no_silent_hole() -> None:
    class Pruned(FakeHistory):
        """A history whose beginning is deleted after the first read."""

        async def read(self, stream: Stream, *, after: int, limit: int, size: int = READ) -> Page:
            page = await super().read(stream, after=after, limit=limit, size=size)
            self.first = 151
            return page

    async def scenario() -> None:
        history = Pruned(portion=100)
        history.store(PAGE)
        pages = Pages(history)
        assert await after(pages, 0) == list(range(1, 101))
        with pytest.raises(NotKept):
            await after(pages, 100)

    run(scenario())


LARGE = "x" * 60_000


async def resume(pages: Pages, seq: int, stream: Stream, *, owner: str, portions: int) -> int:
    """Read on from there for so many portions; returns the bytes that were given."""
    given = 0
    for _ in range(portions):
        portion = await pages.after(stream, seq, destination=DESTINATION, owner=owner)
        given += sum(len(each.tail) for each in portion)
        seq = portion[-1].seq or 0
    return given


@pytest.mark.parametrize("cache", [CACHE, 10], ids=["with a cache", "when it keeps nothing"])
def test_few_bytes_are_read_for_each_that_is_given_however_often_a_client_resumes(
    cache: int,
) -> None:
    async def scenario() -> None:
        history = stored(300, LARGE)
        pages = Pages(history, cache=cache)
        given = 0
        # Two resumes take turns, far apart in a page, and each leaves after a dozen portions.
        for _ in range(3):
            for seq in (0, 130):
                given += await resume(pages, seq, STREAM, owner="mina", portions=12)
        # A read is four portions and the message that crosses its bound; the first one of a page
        # may be for nothing.
        assert history.bytes_read <= 5.5 * given
        assert history.bytes_read <= 2 * given or cache == 10

    run(scenario())


def test_one_who_reads_a_lot_takes_nobody_elses_place_in_the_cache() -> None:
    async def scenario() -> None:
        history = stored(350, LARGE)
        pages = Pages(history)
        await resume(pages, 0, STREAM, owner="kim", portions=1)
        classroom = history.bytes_read
        for owner in ("mina", "jun"):
            # Much more than the whole cache.
            await resume(pages, 0, Stream(STREAM.audience, 7), owner=owner, portions=300)
        history.bytes_read = 0
        await resume(pages, 0, STREAM, owner="kim", portions=1)
        assert history.bytes_read == 0 < classroom
        assert pages.cached <= 2 * OWN + READ

    run(scenario())


def test_a_page_of_usual_messages_is_one_read_wherever_a_reader_begins() -> None:
    async def scenario() -> None:
        history = stored(PAGE, "x" * 200)
        pages = Pages(history)
        for seq in (249, 0, 17, 100):
            await after(pages, seq)
        assert history.reads == [0]

    run(scenario())


def test_a_client_beyond_its_budget_of_reads_waits_and_the_others_do_not() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        limits = LiveLimits(Limits(read_bytes_per_second=READ, read_bytes_burst=2 * READ))
        history = stored(200, LARGE)
        history.latency = 0.0
        reads = Budgets(limits, clock=loop.time).rate(READ_BYTES)
        pages = Pages(history, cache=10, budget=reads)
        began = loop.time()
        await resume(pages, 0, STREAM, owner="mina", portions=12)
        # A read for each portion, because nothing is kept: 12 reads, of which two are free. A read
        # takes the message that crosses its bound.
        assert 10 <= loop.time() - began <= 15
        began = loop.time()
        await resume(pages, 0, STREAM, owner="jun", portions=1)
        assert loop.time() == began

    run(scenario())


def test_a_client_that_would_have_to_wait_too_long_is_told_so_and_those_who_left_cost_nothing() -> (
    None
):
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        limits = LiveLimits(Limits(read_bytes_per_second=READ / 10, read_bytes_burst=READ))
        history = stored(200, LARGE)
        reads = Budgets(limits, clock=loop.time).rate(READ_BYTES)
        pages = Pages(history, cache=10, budget=reads)
        await resume(pages, 0, STREAM, owner="mina", portions=1)
        leaving = asyncio.create_task(resume(pages, 0, STREAM, owner="mina", portions=1))
        await settle()
        with pytest.raises(TooMuchRead):
            await resume(pages, 100, STREAM, owner="mina", portions=1)
        leaving.cancel()
        await asyncio.sleep(11)
        await resume(pages, 100, STREAM, owner="mina", portions=1)

    run(scenario())
