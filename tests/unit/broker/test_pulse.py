"""Heart-beats, on a clock that the test turns."""

from collections.abc import Callable
from typing import Any, cast

from broker.pulse import Pulse


class Handle:
    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when = when
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """As much of an event loop as a pulse needs."""

    def __init__(self) -> None:
        self.now = 100.0
        self.handles: list[Handle] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[[], None]) -> Handle:
        handle = Handle(self.now + delay, call)
        self.handles.append(handle)
        return handle

    def turn(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [h for h in self.handles if h.when <= end and not h.cancelled]:
            handle = min(due, key=lambda h: h.when)
            self.handles.remove(handle)
            self.now = handle.when
            handle.call()
        self.now = end


class Peer:
    def __init__(self, *, outgoing: float = 0.0, incoming: float = 0.0) -> None:
        self.clock = Clock()
        self.sent_at = self.received_at = self.clock.now
        self.beats: list[float] = []
        self.lost_at: list[float] = []
        self.pulse = Pulse(
            cast("Any", self.clock),
            outgoing=outgoing,
            incoming=incoming,
            sent_at=lambda: self.sent_at,
            received_at=lambda: self.received_at,
            beat=self.beat,
            lost=lambda: self.lost_at.append(self.clock.now - 100),
        )

    def beat(self) -> None:
        self.sent_at = self.clock.now
        self.beats.append(self.clock.now - 100)


def test_a_quiet_side_beats_at_half_the_agreed_interval() -> None:
    peer = Peer(outgoing=10)
    peer.clock.turn(16)
    assert peer.beats == [5, 10, 15]


def test_what_is_sent_anyway_stands_for_a_beat() -> None:
    peer = Peer(outgoing=10)
    peer.clock.turn(4)
    peer.sent_at = peer.clock.now
    peer.clock.turn(4)
    assert peer.beats == []
    peer.clock.turn(2)
    assert peer.beats == [9]


def test_silence_is_death_only_after_some_patience() -> None:
    peer = Peer(incoming=10)
    peer.clock.turn(24.9)
    assert peer.lost_at == []
    peer.clock.turn(0.2)
    assert peer.lost_at == [25]


def test_whatever_comes_is_a_sign_of_life() -> None:
    peer = Peer(incoming=10)
    for _ in range(10):
        peer.clock.turn(20)
        peer.received_at = peer.clock.now
    assert peer.lost_at == []
    peer.clock.turn(25)
    assert peer.lost_at == [225]


def test_zero_promises_and_expects_nothing() -> None:
    peer = Peer()
    peer.clock.turn(1000)
    assert (peer.beats, peer.lost_at) == ([], [])


def test_a_stopped_pulse_is_still() -> None:
    peer = Peer(outgoing=10, incoming=10)
    peer.clock.turn(6)
    peer.pulse.stop()
    peer.clock.turn(100)
    assert (peer.beats, peer.lost_at) == ([5], [])
