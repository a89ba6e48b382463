"""One timer for many entries."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from broker.timing.ticker import AGAIN, RESOLUTION, Ticker, Timed
from tests.virtual_time import VirtualTimeLoop, run


class Entry:
    """An entry of the ticker that records its calls."""

    def __init__(self, due: float) -> None:
        self.due = due
        self.checked: list[float] = []
        self.called = asyncio.Event()

    def check(self, now: float) -> None:
        self.checked.append(now)
        self.due = now + 1000
        self.called.set()


def scenario(test: Callable[[Ticker], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(10):
            await test(Ticker())

    asyncio.run(run())


def test_due_entries_are_checked_and_others_are_left() -> None:
    async def test(ticker: Ticker) -> None:
        now = asyncio.get_running_loop().time()
        due, later = Entry(now), Entry(now + 1000)
        ticker.add(later)
        ticker.add(due)
        await due.called.wait()
        assert later.checked == []
        assert due.checked[0] >= now

    scenario(test)


def test_many_entries_are_all_checked_in_one_round() -> None:
    async def test(ticker: Ticker) -> None:
        loop = asyncio.get_running_loop()
        entries = [Entry(loop.time()) for _ in range(100)]
        for entry in entries:
            ticker.add(entry)
        for entry in entries:
            await entry.called.wait()
        turns = {entry.checked[0] for entry in entries}
        assert len(turns) > 1, "they have their turns one part after the other"
        assert all(len(entry.checked) == 1 for entry in entries)

    scenario(test)


def test_a_removed_entry_is_not_checked_any_more() -> None:
    async def test(ticker: Ticker) -> None:
        now = asyncio.get_running_loop().time()
        gone, stays = Entry(now), Entry(now)
        ticker.add(gone)
        ticker.remove(gone)
        ticker.remove(gone)
        ticker.add(stays)
        await stays.called.wait()
        assert gone.checked == []

    scenario(test)


def test_a_check_may_remove_entries_and_an_empty_ticker_rests_until_it_is_used() -> None:
    async def test(ticker: Ticker) -> None:
        loop = asyncio.get_running_loop()

        class Last(Entry):
            """An entry that removes itself when it is called."""

            def check(self, now: float) -> None:
                super().check(now)
                ticker.remove(self)

        first, second = Last(loop.time()), Last(loop.time())
        ticker.add(first)
        await first.called.wait()
        await asyncio.wait_for(_quiet(), RESOLUTION * 4)
        ticker.add(second)
        await second.called.wait()

    async def _quiet() -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    scenario(test)


def test_an_entry_that_is_removed_by_another_ones_check_is_not_checked_any_more() -> None:
    async def test(ticker: Ticker) -> None:
        now = asyncio.get_running_loop().time()
        entries: list[Entry] = []

        class Only(Entry):
            """An entry that removes all others when it is called."""

            def check(self, now: float) -> None:
                super().check(now)
                for other in entries:
                    if other is not self:
                        ticker.remove(other)

        # So many that some have their turn together.
        entries += [Only(now) for _ in range(100)]
        for entry in entries:
            ticker.add(entry)
        ticker.add(end := Entry(now + RESOLUTION * 2))
        await end.called.wait()
        assert [len(entry.checked) for entry in entries if entry.checked] == [1]

    scenario(test)


def test_one_that_fails_stops_neither_the_time_of_the_others_nor_its_own(
    failures: list[str],
) -> None:
    async def test(ticker: Ticker) -> None:
        loop = asyncio.get_running_loop()
        again = asyncio.Event()

        class Failing(Entry):
            """An entry whose check fails."""

            def check(self, now: float) -> None:
                self.checked.append(now)
                self.called.set()
                if len(self.checked) > 1:
                    again.set()
                raise ZeroDivisionError

        # So many that some have their turn together.
        entries = [Failing(loop.time()) if n % 2 else Entry(loop.time()) for n in range(100)]
        for entry in entries:
            ticker.add(entry)
        for entry in entries:
            await entry.called.wait()
        await again.wait()
        twice = next(entry for entry in entries if len(entry.checked) > 1)
        assert twice.checked[1] - twice.checked[0] >= AGAIN

    scenario(test)
    assert failures == ["timer of a Failing has failed"]
    failures.clear()


def test_one_that_cannot_even_say_when_it_is_due_does_not_end_the_time_of_the_others() -> None:
    class Nameless:
        """An entry whose due time cannot be read."""

        @property
        def due(self) -> float:
            raise ZeroDivisionError

    async def test(ticker: Ticker) -> None:
        loop = asyncio.get_running_loop()
        reported: list[BaseException] = []
        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
        ticker.add(cast("Timed", Nameless()))
        entries = [Entry(loop.time() + RESOLUTION * 2) for _ in range(20)]
        for entry in entries:
            ticker.add(entry)
        # Those in other parts than its own.
        async with asyncio.timeout(5):
            for entry in entries[:6]:
                await entry.called.wait()
        assert {type(each) for each in reported} == {ZeroDivisionError}

    scenario(test)


def test_after_a_standstill_what_has_come_is_heard_before_anybody_is_called_silent() -> None:
    async def test(ticker: Ticker) -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        heard: list[bytes] = []
        known: list[bytes] = []

        class Silent(Entry):
            """An entry that notes what has been heard by then."""

            def check(self, now: float) -> None:
                super().check(now)
                known.extend(heard)

        async def listen() -> None:
            heard.append(await loop.sock_recv(ours, 10))

        with ours, theirs:
            listening = asyncio.create_task(listen())
            entry = Silent(loop.time() + RESOLUTION)
            ticker.add(entry)
            await asyncio.sleep(0)
            theirs.send(b"I am here")
            time.sleep(RESOLUTION * 2)  # noqa: ASYNC251 - the standstill
            await entry.called.wait()
            await listening
            assert known == [b"I am here"]

    scenario(test)


# A standstill of the loop, on a clock that the test turns


def checks(meanwhile: Callable[[VirtualTimeLoop], Awaitable[None]]) -> list[float]:
    """The times of all checks while and after this happens: every tick checks somebody."""
    times: list[float] = []

    class Always(Entry):
        """An entry that is always due."""

        def check(self, now: float) -> None:
            times.append(now)

    async def scenario() -> None:
        loop = cast("VirtualTimeLoop", asyncio.get_running_loop())
        ticker = Ticker()
        entries = [Always(0.0) for _ in range(8)]
        for entry in entries:
            ticker.add(entry)
        await asyncio.sleep(RESOLUTION / 64)
        await meanwhile(loop)
        await asyncio.sleep(RESOLUTION)
        for entry in entries:
            ticker.remove(entry)
        await asyncio.sleep(RESOLUTION)

    run(scenario())
    return times


@pytest.mark.parametrize(
    ("standstill", "guarded"),
    [(RESOLUTION * 0.9, False), (RESOLUTION * 1.2, True), (100.0, True)],
)
def test_the_tick_that_finds_a_standstill_checks_nobody_and_the_next_one_does(
    standstill: float, guarded: bool
) -> None:
    ends = 0.0

    async def stand_still(loop: VirtualTimeLoop) -> None:
        nonlocal ends
        loop.jump(standstill)
        ends = loop.time()

    first = checks(stand_still)[0]
    assert first == pytest.approx(ends + (RESOLUTION / 8 if guarded else 0))


def test_every_standstill_is_found_not_only_the_first() -> None:
    ends: list[float] = []

    async def stand_still_twice(loop: VirtualTimeLoop) -> None:
        for _ in range(2):
            loop.jump(10.0)
            ends.append(loop.time())
            await asyncio.sleep(RESOLUTION / 2)

    times = checks(stand_still_twice)
    assert [at for at in times if ends[0] < at < ends[1]], "time goes on in between"
    assert not [at for at in times if at in ends]


def test_a_loop_that_always_stands_still_does_not_end_the_time() -> None:
    async def always_stand_still(loop: VirtualTimeLoop) -> None:
        for _ in range(20):
            loop.jump(10.0)
            await asyncio.sleep(RESOLUTION / 64)

    began_within = 20 * 10.0
    assert len([at for at in checks(always_stand_still) if at < began_within]) >= 8
