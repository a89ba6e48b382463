"""The entries that wait to be written: bounded, and complete as long as there is room."""

from __future__ import annotations

from gateway.domain.journal import Entry, EntryKind, Visit
from gateway.observe.events import Events, Kind
from gateway.observe.journal import Journal
from tests.fake_clock import FakeClock


def entry(code: str) -> Entry:
    return Entry(at=0.0, kind=EntryKind.STATE, code=code)


def codes(journal: Journal) -> list[str]:
    return [each.code for each in journal.take(1000)]


def test_what_does_not_fit_is_dropped_and_counted_the_first_cause_stays() -> None:
    journal = Journal(clock=lambda: 0.0, most=2)
    for code in ("cause", "effect", "noise"):
        journal.add(entry(code))
    assert journal.dropped == 1
    (cause,) = journal.take(1)
    journal.add(entry("later"))
    journal.put_back([cause])
    assert journal.dropped == 2
    assert codes(journal) == ["cause", "effect"]


def test_a_journal_that_is_not_kept_takes_nothing_and_misses_nothing() -> None:
    journal = Journal(clock=lambda: 0.0, is_kept=False)
    journal.add(entry("x"))
    assert (len(journal), journal.dropped) == (0, 0)


def test_the_end_of_a_connection_is_found_by_each_of_its_rooms_and_repetitions_are_left_out() -> (
    None
):
    journal, events = Journal(clock=lambda: 0.0), Events(clock=lambda: 5.0)
    events.observe(journal.note)
    visit = Visit((3, 4), 1.0, "Firefox", 10, 20, 1001)
    who = {"user": "kim", "address": "192.0.2.7", "connection": "c1"}
    events.note(Kind.CLOSE, "left", "as asked", status=1000, visit=visit, **who)  # type: ignore[arg-type]
    for _ in range(3):
        events.note(Kind.REFUSAL, "not_authenticated", "no", status=401, address="192.0.2.7")
    first, second, refusal = journal.take(10)
    assert (first.room, second.room, refusal.room) == (3, 4, None)
    assert (first.kind, first.user, first.since, first.bytes_out) == ("close", "kim", 1.0, 20)
    assert (first.status, first.client_status, first.browser) == (1000, 1001, "Firefox")
    assert refusal.code == "not_authenticated"


def refusal(user: str | None = None, address: str = "192.0.2.7") -> Entry:
    return Entry(at=0.0, kind=EntryKind.REFUSAL, code="x", user=user, address=address)


def test_one_client_has_its_share_and_pushes_nobody_out() -> None:
    clock = FakeClock()
    journal = Journal(clock=clock)
    for number in range(500):
        # Another address each time, of one network.
        journal.add(refusal("kim", f"2001:db8::{number:x}"))
        journal.add(refusal(None, f"2001:db8::{number:x}"))
    assert (len(journal), journal.dropped) == (200, 800)
    for others in (refusal("lee"), refusal(None, "192.0.2.8"), entry("fails")):
        journal.add(others)
    assert len(journal) == 203
    clock.now += 60
    for _ in range(10):
        journal.add(refusal("kim"))
    assert len(journal) == 208


def test_a_host_who_removes_members_all_day_pushes_nobody_out() -> None:
    journal = Journal(clock=lambda: 0.0)

    def order(code: str, by: str) -> Entry:
        return Entry(at=0.0, kind=EntryKind.ACTION, code=code, user="kim", by=by)

    for _ in range(3_000):
        journal.add(order("member_removed", "anna"))
    assert (len(journal), journal.dropped) == (2_000, 1_000)
    # Nor does that keep out what else the host orders, or others, or admins.
    for other in (
        order("room_closed", "anna"),
        order("member_removed", "lee"),
        order("end_user", "anna"),
    ):
        journal.add(other)
    assert len(journal) == 2_003


def test_all_unknown_clients_together_have_a_share_and_known_ones_do_not_notice() -> None:
    journal = Journal(clock=lambda: 0.0)
    for number in range(2_000):
        journal.add(refusal(None, f"2001:db8:{number:x}::1"))
    assert (len(journal), journal.dropped) == (1_000, 1_000)
    journal.add(refusal("kim"))
    assert len(journal) == 1_001
