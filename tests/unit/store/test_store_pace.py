"""Slow mode: when the senders of a batch may speak again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from broker.topology import Audience, Stream
from gateway.domain.message import Draft
from gateway.store.pace import Pace

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
PUBLIC = Stream(Audience.PUBLIC, 7)


def draft(after: float, *, sender: str = "bob", stream: Stream = PUBLIC, apart: int = 30) -> Draft:
    """What somebody says so many seconds after noon."""
    sent_at = NOON + timedelta(seconds=after)
    return Draft(uuid4(), stream, sender, sent_at, "message", "hi", apart=apart)


def refused_for(pace: Pace, said: Draft) -> float | None:
    """The seconds that the sender has to wait; None: it may speak."""
    error = pace.refusal(said)
    if error is None:
        return None
    assert str(error) == f"in room 7 {said.apart} s must pass between two messages"
    return error.retry_after


def test_the_first_message_may_come_at_any_time() -> None:
    assert refused_for(Pace(), draft(0)) is None


@pytest.mark.parametrize(
    ("after", "left"), [(0, 30), (1, 29), (29.5, 0.5), (30, None), (30.5, None)]
)
def test_the_time_between_two_of_one_sender_must_have_passed(
    after: float, left: float | None
) -> None:
    pace = Pace({(PUBLIC, "bob"): NOON})
    assert refused_for(pace, draft(after)) == left


def test_a_batch_counts_as_messages_one_after_the_other() -> None:
    pace = Pace()
    pace.take(draft(5))
    assert refused_for(pace, draft(6)) == 29
    pace.take(draft(40))
    assert refused_for(pace, draft(41)) == 29


def test_others_and_other_streams_do_not_count() -> None:
    pace = Pace({(PUBLIC, "bob"): NOON})
    assert refused_for(pace, draft(1, sender="carol")) is None
    assert refused_for(pace, draft(1, stream=replace(PUBLIC, room=8))) is None
    assert refused_for(pace, draft(1, stream=replace(PUBLIC, audience=Audience.PRIVATE))) is None


def test_nobody_waits_for_a_clock_that_is_ahead() -> None:
    pace = Pace({(PUBLIC, "bob"): NOON + timedelta(hours=1)})
    assert refused_for(pace, draft(0)) == 30
