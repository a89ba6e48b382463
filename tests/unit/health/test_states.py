"""The table of states: since when each part works or fails, and what is logged of it."""

from __future__ import annotations

import logging

import pytest

from gateway.health.states import Found, States
from gateway.observe.journal import Journal


class Clock:
    """Unix time that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def found(reason: str | None, part: str = "bus", *, needed: bool = False) -> Found:
    return Found(part, reason, "nobody hears", needed=needed)


def test_a_state_lasts_until_it_changes_whatever_its_reason() -> None:
    clock = Clock()
    states = States(clock=clock)
    seen = []
    for reason in (None, None, "silent", "still silent", None):
        clock.now += 10
        states.take([found(reason)])
        (state,) = states
        seen.append((state.since, state.works, state.found.reason))
    assert seen == [
        (1010.0, True, None),
        (1010.0, True, None),
        (1030.0, False, "silent"),
        (1030.0, False, "still silent"),
        (1050.0, True, None),
    ]


def test_only_what_is_needed_makes_unready() -> None:
    states = States(clock=Clock())
    states.take([found("silent"), found(None, "store", needed=True)])
    assert states.ready
    states.take([found("silent"), found("full", "store", needed=True)])
    assert not states.ready
    assert [state.part for state in states.failing] == ["bus", "store"]


def test_each_change_is_logged_once_with_what_follows_and_how_long_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock, journal = Clock(), Journal(clock=lambda: 0.0)
    states = States(clock=clock, journal=journal)
    for reason in (None, "silent", "silent", None, "silent"):
        states.take([found(reason)])
        clock.now += 5
    # A part that is not looked at any more, e.g. a node that was taken off the list.
    states.take([])
    assert [record.getMessage() for record in caplog.records] == [
        "bus fails: silent; nobody hears",
        "bus fails no more; it did for 10 s: silent",
        "bus fails: silent; nobody hears",
        "bus fails no more; it did for 5 s: silent",
    ]
    assert [(entry.kind, entry.code, entry.detail) for entry in journal.take(9)] == [
        ("state", "fails", "bus: silent; nobody hears"),
        ("state", "works", "bus failed for 10 s: silent"),
        ("state", "fails", "bus: silent; nobody hears"),
        ("state", "works", "bus failed for 5 s: silent"),
    ]
    assert not list(states)


def test_it_is_shown_with_its_time_and_its_consequence() -> None:
    states = States(clock=Clock())
    states.take([found("silent")])
    (state,) = states
    assert str(state) == "bus, since 00:16:40 UTC: silent; nobody hears"
    assert state.as_json() == {
        "part": "bus",
        "works": False,
        "since": "1970-01-01T00:16:40Z",
        "reason": "silent",
        "follows": "nobody hears",
        "needed": False,
    }
