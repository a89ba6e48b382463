"""The sessions that ended before their time."""

import pytest

from gateway.auth.ended import EndedSessions
from gateway.domain.identity import Identity
from gateway.errors import SessionEnded
from tests.fake_clock import FakeClock


def identity(session: str | None) -> Identity:
    return Identity("mina", frozenset(), 100.0, session)


def test_an_ended_session_is_refused_and_no_other() -> None:
    ended = EndedSessions(clock=FakeClock().unix)
    assert ended.add("a", until=100.0)
    assert not ended.add("a", until=100.0)
    assert ("a" in ended, "b" in ended, len(ended)) == (True, False, 1)
    ended.check(identity("b"))
    ended.check(identity(None))
    with pytest.raises(SessionEnded):
        ended.check(identity("a"))


def test_sessions_that_are_over_anyway_are_forgotten_and_those_that_are_not_stay() -> None:
    clock = FakeClock()
    ended = EndedSessions(clock=clock.unix)
    for number in range(1023):
        ended.add(f"old {number}", until=clock.unix() + 10)
    assert len(ended) == 1023
    clock.now += 10
    ended.add("lasting", until=clock.unix() + 10)
    assert len(ended) == 1
    assert "lasting" in ended


def test_as_many_stay_as_last_and_they_are_not_looked_through_each_time() -> None:
    clock = FakeClock()
    readings = 0

    def read() -> float:
        nonlocal readings
        readings += 1
        return clock.unix()

    ended = EndedSessions(clock=read)
    for number in range(5000):
        ended.add(str(number), until=clock.unix() + 10)
    assert len(ended) == 5000
    assert readings == 3
