"""The events that are kept."""

from __future__ import annotations

from gateway.observe.events import Events, Kind
from tests.fake_clock import FakeClock


def test_events_come_in_order_after_the_one_that_is_known() -> None:
    events = Events(clock=lambda: 12.5)
    events.note(Kind.CLOSE, "left", "as asked", status=1000, user="paul", connection="c1")
    events.note(Kind.FAILOVER, "feed_lost", "feed 0: silent", node="r1")
    events.note(Kind.CLOSE, "gone", "broke off", status=1006)
    assert [event.code for event in events.after(0, limit=9)] == ["left", "feed_lost", "gone"]
    assert [event.code for event in events.after(1, limit=9)] == ["feed_lost", "gone"]
    assert events.after(events.last, limit=9) == []
    assert events.after(0, limit=9)[0].as_json() == {
        "number": 1,
        "at": 12.5,
        "kind": "close",
        "code": "left",
        "detail": "as asked",
        "status": 1000,
        "user": "paul",
        "connection": "c1",
    }


def test_of_too_many_the_newest_are_told() -> None:
    events = Events(clock=lambda: 0.0)
    for number in range(5):
        events.note(Kind.CLOSE, "left", str(number))
    assert [event.detail for event in events.after(0, limit=2)] == ["3", "4"]


def test_a_flood_of_one_kind_hides_nothing_of_another() -> None:
    events = Events(clock=lambda: 0.0, kept=3)
    events.note(Kind.FAILOVER, "feed_lost", "the needle")
    for number in range(100):
        events.note(Kind.CLOSE, "left", str(number))
    told = [event.detail for event in events.after(0, limit=9)]
    assert told == ["the needle", "97", "98", "99"]
    assert events.counts[Kind.CLOSE, "left", None] == 100


def test_a_client_s_text_makes_no_event_large() -> None:
    events = Events(clock=lambda: 0.0)
    events.note(Kind.REFUSAL, "bad_frame", "x" * 10_000)
    (event,) = events.after(0, limit=1)
    assert len(event.detail) == 300
    assert event.detail.endswith("x…")


def test_what_one_client_is_refused_again_and_again_is_one_event_with_its_count() -> None:
    clock = FakeClock(0.0)
    events = Events(clock=clock)

    def refuse(user: str, address: str = "1.2.3.4", budget: str = "posts/user") -> bool:
        return events.note(
            Kind.REFUSAL,
            "rate_limited",
            f"at {clock.now:g}",
            status=429,
            user=user,
            address=address,
            budget=budget,
        )

    assert refuse("kim")
    known = events.last
    for _ in range(49):
        clock.now += 1
        assert not refuse("kim")
    assert refuse("lee")
    assert refuse("kim", budget="reads/user")
    assert refuse("kim", address="5.6.7.8")
    (first, *others) = events.after(known, limit=9)
    assert (first.times, first.first, first.number, first.at) == (50, 1, 50, 49)
    assert first.detail == "at 49"
    assert [event.times for event in others] == [None, None, None]
    assert events.counts[Kind.REFUSAL, "rate_limited", 429] == 53
    clock.now = 60
    assert refuse("kim"), "in the next minute it is told again"
    assert len(events.after(0, limit=9)) == 5


def test_a_flood_of_refusals_hides_no_other_refusal() -> None:
    events = Events(clock=lambda: 0.0, kept=3)
    events.note(Kind.REFUSAL, "access_refused", "the needle", status=403, address="5.6.7.8")
    for _ in range(1000):
        events.note(Kind.REFUSAL, "too_many_upgrades", "…", status=429, address="1.2.3.4")
    assert [event.detail for event in events.after(0, limit=9)] == ["the needle", "…"]


def test_the_ends_of_nobody_s_connections_are_counted_and_those_of_users_are_listed() -> None:
    events = Events(clock=lambda: 0.0)
    for _ in range(10):
        events.note(Kind.CLOSE, "connect_first", "…", status=1002, address="1.2.3.4")
        events.note(Kind.CLOSE, "gone", "…", status=1006, user="kim", address="1.2.3.4")
    ends = events.after(0, limit=99)
    assert [event.code for event in ends].count("gone") == 10
    assert [event.times for event in ends if event.code == "connect_first"] == [10]
