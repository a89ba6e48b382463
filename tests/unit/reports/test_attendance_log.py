"""The record of who was in which room: in batches, bounded, and right when something fails."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from broker.timing.tasks import Tasks
from gateway.auth.permissions import Action
from gateway.domain.identity import Identity
from gateway.domain.room import MemberRole
from gateway.domain.stay import Stay
from gateway.errors import GatewayError, StoreUnavailable
from gateway.live.attendance import Attendance, Right
from gateway.reports import attendance_log
from gateway.reports.attendance_log import (
    LONG_RETURN,
    MANY,
    RETURN,
    SEEN,
    TICK,
    AttendanceLog,
)
from tests.virtual_time import run

NINE = datetime(2026, 5, 4, 9, tzinfo=UTC)
HOST, PARTICIPANT = MemberRole.HOST, MemberRole.PARTICIPANT


class Table:
    """The stays as the database has them. ``batches``: the sizes of what was written at once."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, str, datetime], Stay] = {}
        self.batches: list[int] = []
        self.seen: list[datetime] = []
        self.away = False

    async def note_stays(self, stays: Sequence[Stay]) -> None:
        await asyncio.sleep(0.01)
        if self.away:
            raise StoreUnavailable("away")
        self.batches.append(len(stays))
        self.rows |= {(stay.room, stay.user, stay.since): stay for stay in stays}

    async def see_stays(self, at: datetime) -> None:
        self.seen.append(at)

    def of(self, user: str) -> list[tuple[float, float | None]]:
        """Since when and until when, in seconds from the beginning."""
        return [
            (
                (stay.since - NINE).total_seconds(),
                None if stay.until is None else (stay.until - NINE).total_seconds(),
            )
            for stay in self.rows.values()
            if stay.user == user
        ]


class Tab:
    """A subscription of somebody's."""

    def __init__(
        self,
        attendance: Attendance,
        user: str,
        role: MemberRole | None = PARTICIPANT,
        *,
        name: str | None = None,
    ) -> None:
        self.identity = Identity(user, frozenset(), math.inf, display_name=name)
        self._attendance = attendance
        self._right = Right(Action.SUBSCRIBE_PUBLIC, 1, role)
        attendance.begin(self, self._right)

    def close(self) -> None:
        self._attendance.end(self, self._right)

    def end(self, error: GatewayError | None) -> None:
        raise AssertionError(error)


@asynccontextmanager
async def recording(table: Table) -> AsyncIterator[tuple[Attendance, AttendanceLog]]:
    attendance, loop = Attendance(), asyncio.get_running_loop()
    began = loop.time()
    log = AttendanceLog(
        attendance,
        table,
        utc=lambda: NINE + timedelta(seconds=round(loop.time() - began)),
        clock=loop.time,
        tasks=Tasks(),
    )
    log.start()
    try:
        yield attendance, log
    finally:
        await log.close()


def test_coming_is_recorded_within_a_moment_and_leaving_too() -> None:
    async def lesson() -> None:
        table = Table()
        async with recording(table) as (attendance, _):
            bob = Tab(attendance, "bob")
            await asyncio.sleep(TICK + 1)
            assert table.of("bob") == [(0, None)]
            await asyncio.sleep(100)
            bob.close()
            await asyncio.sleep(TICK + 1)
            assert table.of("bob") == [(0, 106)]

    run(lesson())


def test_a_class_that_comes_at_once_is_written_in_portions() -> None:
    async def lesson() -> None:
        table = Table()
        async with recording(table) as (attendance, _):
            tabs = [Tab(attendance, f"user {number}") for number in range(250)]
            assert table.batches == []
            await asyncio.sleep(TICK + 1)
            assert table.batches == [100, 100, 50]
            for tab in tabs:
                tab.close()
        assert len(table.rows) == 250

    run(lesson())


def test_a_second_tab_and_a_reload_are_the_same_stay() -> None:
    async def lesson() -> None:
        table = Table()
        async with recording(table) as (attendance, _):
            first, second = Tab(attendance, "bob"), Tab(attendance, "bob")
            await asyncio.sleep(20)
            first.close()
            await asyncio.sleep(20)
            assert table.of("bob") == [(0, None)]
            second.close()
            await asyncio.sleep(RETURN - 1)
            again = Tab(attendance, "bob")
            await asyncio.sleep(TICK + 1)
            assert table.of("bob") == [(0, None)]
            again.close()

    run(lesson())


def test_whoever_comes_back_later_has_another_stay() -> None:
    async def lesson() -> None:
        table = Table()
        async with recording(table) as (attendance, _):
            Tab(attendance, "bob").close()
            await asyncio.sleep(RETURN + 10)
            Tab(attendance, "bob").close()
            await asyncio.sleep(TICK + 1)
        assert table.of("bob") == [(0, 0), (70, 70)]

    run(lesson())


def test_whoever_comes_and_goes_all_the_time_does_not_fill_the_table() -> None:
    async def lesson() -> None:
        table = Table()
        async with recording(table) as (attendance, _):
            for _ in range(3 * MANY):
                Tab(attendance, "bob").close()
                await asyncio.sleep(RETURN + 10)
            assert len(table.of("bob")) == MANY
            await asyncio.sleep(LONG_RETURN)
            Tab(attendance, "bob").close()
        assert len(table.of("bob")) == MANY + 1

    run(lesson())


def test_what_is_remembered_is_bounded_and_given_up_in_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(attendance_log, "MOST", 3)

    async def lesson() -> None:
        table = Table()
        async with recording(table) as (attendance, log):
            tabs = [Tab(attendance, f"user {number}") for number in range(5)]
            assert len(log) == 3
            for tab in tabs:
                tab.close()
            await asyncio.sleep(LONG_RETURN + 2 * TICK)
            assert len(log) == 0
            Tab(attendance, "user 4").close()
        assert len(table.of("user 4")) == 1
        assert len(table.rows) == 4

    with caplog.at_level(logging.WARNING):
        run(lesson())
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_another_role_is_recorded_with_the_stay() -> None:
    async def lesson() -> None:
        table = Table()
        async with recording(table) as (attendance, _):
            bob = Tab(attendance, "bob")
            attendance.became(1, "bob", HOST)
            await asyncio.sleep(TICK + 1)
            (stay,) = table.rows.values()
            assert (stay.role, stay.until) == (HOST, None)
            bob.close()

    run(lesson())


def test_an_admin_who_is_no_member_leaves_no_trace() -> None:
    async def lesson() -> None:
        table = Table()
        async with recording(table) as (attendance, log):
            Tab(attendance, "root", None).close()
            assert len(log) == 0

    run(lesson())


def test_that_a_stay_lasts_is_noted_every_minute() -> None:
    async def lesson() -> None:
        table = Table()
        async with recording(table) as (attendance, _):
            bob = Tab(attendance, "bob")
            await asyncio.sleep(3 * SEEN + 2 * TICK)
            assert len(table.seen) == 3
            bob.close()

    run(lesson())


def test_what_could_not_be_written_is_written_when_the_database_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def lesson() -> None:
        table = Table()
        table.away = True
        async with recording(table) as (attendance, _):
            bob, chris = Tab(attendance, "bob"), Tab(attendance, "chris")
            await asyncio.sleep(60)
            chris.close()
            table.away = False
            await asyncio.sleep(TICK + 1)
            assert (table.of("bob"), table.of("chris")) == ([(0, None)], [(0, 60)])
            bob.close()

    with caplog.at_level(logging.WARNING):
        run(lesson())
    assert len(caplog.records) == 1


def test_a_new_stay_while_the_end_of_the_last_one_is_not_written_is_the_same_one() -> None:
    async def lesson() -> None:
        table = Table()
        table.away = True
        async with recording(table) as (attendance, _):
            Tab(attendance, "bob").close()
            await asyncio.sleep(RETURN + 10)
            bob = Tab(attendance, "bob")
            table.away = False
            await asyncio.sleep(TICK + 1)
            assert table.of("bob") == [(0, None)]
            bob.close()

    run(lesson())


@pytest.mark.parametrize("away", [False, True])
def test_a_gateway_that_stops_ends_all_stays_if_it_can(
    away: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def lesson() -> Table:
        table = Table()
        async with recording(table) as (attendance, _):
            Tab(attendance, "bob")
            await asyncio.sleep(TICK + 1)
            table.away = away
        return table

    with caplog.at_level(logging.WARNING):
        table = run(lesson())
    assert table.of("bob") == [(0, None if away else 6)]
    assert len(caplog.records) == away


def test_a_stay_has_the_name_of_the_login() -> None:
    async def scenario() -> None:
        table = Table()
        async with recording(table) as (attendance, _):
            for user, name in (("bob", "Bob B."), ("carol", None)):
                Tab(attendance, user, name=name)
        assert {stay.user: stay.name for stay in table.rows.values()} == {
            "bob": "Bob B.",
            "carol": None,
        }

    run(scenario())
