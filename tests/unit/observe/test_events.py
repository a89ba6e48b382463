"""The events that are kept."""

from __future__ import annotations

from gateway.observe.events import Events, Kind


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
