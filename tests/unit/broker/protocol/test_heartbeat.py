"""The moments to send a heart-beat, and to give up a peer."""

import math

from broker.protocol.heartbeat import STILL, HeartBeats


def test_a_quiet_side_beats_with_half_the_agreed_time_to_spare() -> None:
    assert HeartBeats(outgoing=10, incoming=0).beat_at(100.0) == 105.0


def test_silence_is_death_only_after_some_patience() -> None:
    assert HeartBeats(outgoing=0, incoming=10).lost_at(100.0) == 125.0


def test_zero_promises_and_expects_nothing() -> None:
    assert STILL.beat_at(100.0) == math.inf
    assert STILL.lost_at(100.0) == math.inf
