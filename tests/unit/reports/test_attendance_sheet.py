"""Attendance as a table: several sockets, gateways and reloads are one stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.domain.room import MemberRole
from gateway.domain.stay import Stay
from gateway.reports.attendance_sheet import AttendanceSheet
from gateway.reports.cells import Row, Word

NINE = datetime(2026, 5, 4, 9, tzinfo=UTC)
NOW = NINE + timedelta(hours=2)
PARTICIPANT, HOST = MemberRole.PARTICIPANT, MemberRole.HOST


def at(minutes: float) -> datetime:
    return NINE + timedelta(minutes=minutes)


def stay(
    user: str,
    since: float,
    until: float | None,
    *,
    seen: float = 0.0,
    role: MemberRole = PARTICIPANT,
    name: str | None = None,
) -> Stay:
    end = None if until is None else at(until)
    return Stay(1, user, role, at(since), end, end or at(seen), name)


def rows(*pages: list[Stay]) -> list[Row]:
    sheet = AttendanceSheet(NOW)
    found = [row for page in pages for row in sheet.take(page)]
    return [*found, *sheet.rest()]


def row(user: str, since: float, until: float | None, minutes: int, **rest: object) -> Row:
    return (
        user,
        rest.get("name"),
        Word(str(rest.get("role", "participant"))),
        at(since),
        None if until is None else at(until),
        minutes,
        rest.get("note"),
    )  # type: ignore[return-value]


def test_a_stay_is_a_row() -> None:
    assert rows([stay("bob", 0, 50)]) == [row("bob", 0, 50, 50)]


def test_stays_that_touch_or_overlap_are_one() -> None:
    reload, second_tab = stay("bob", 10.5, 30), stay("bob", 20, 25)
    assert rows([stay("bob", 0, 10), reload, second_tab]) == [row("bob", 0, 30, 30)]


def test_a_shorter_stay_within_a_longer_one_does_not_end_it() -> None:
    assert rows([stay("bob", 0, 60), stay("bob", 5, 10), stay("bob", 60.5, 70)]) == [
        row("bob", 0, 70, 70)
    ]


def test_somebody_who_was_away_for_longer_has_two_rows() -> None:
    assert rows([stay("bob", 0, 10), stay("bob", 12, 50)]) == [
        row("bob", 0, 10, 10),
        row("bob", 12, 50, 38),
    ]


def test_the_stays_of_two_people_are_two_rows_also_over_pages() -> None:
    assert rows([stay("anna", 0, 50, role=HOST)], [stay("bob", 0, 50)], [stay("bob", 50, 60)]) == [
        row("anna", 0, 50, 50, role="host"),
        row("bob", 0, 60, 60),
    ]


def test_who_is_still_here_is_counted_until_now_and_has_no_end() -> None:
    assert rows([stay("bob", 0, None, seen=119)]) == [row("bob", 0, None, 120, note=Word("here"))]


def test_a_stay_whose_gateway_was_killed_ends_when_it_was_last_seen() -> None:
    assert rows([stay("bob", 0, None, seen=40), stay("bob", 60, 90)]) == [
        row("bob", 0, 40, 40, note=Word("cut off")),
        row("bob", 60, 90, 30),
    ]


def test_the_role_is_the_higher_one_and_the_name_the_newest() -> None:
    joined = rows([stay("kim", 0, 10, role=HOST, name="K"), stay("kim", 10, 20, name="김")])
    assert joined == [row("kim", 0, 20, 20, role="host", name="김")]
