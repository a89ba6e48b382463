"""Rooms where everyone speaks: a member sends a message, and the next one when its own has arrived.

What is said carries the speaker's place in the room and a count of the speaker's own, so that every
listener can tell a hole, a repetition and a stranger, whether or not the system numbers messages.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench_suite.frames import FrameReader
from bench_suite.journal import number

_FAULTS_TOLD = 3
#: Bytes that are said; as a message it becomes about `messages.SIZE`.
_SAID = 64


def said(room: int, place: int, count: int, *, at: int | None = None) -> bytes:
    """A text for everyone in the room, which contains the time: now, or when it was due."""
    at = time.monotonic_ns() if at is None else at
    return f"#{room};{place};{count};{at};".ljust(_SAID, ".").encode()


@dataclass
class Heard:
    """One member's received messages: ``counts`` by speaker's place, ``delays`` in nanoseconds and,
    beside each, ``moments``: when it was said, on the monotonic clock."""

    counts: list[int]
    delays: list[int] = field(default_factory=list)
    moments: list[int] = field(default_factory=list)
    faults: int = 0
    told: list[str] = field(default_factory=list)


class Listener:
    """A member's receiving half; the same to `Subscriber` as `journal.Reader`.

    ``own`` is called when the member's own message arrives, ``other`` with any frame but MESSAGE.
    """

    def __init__(
        self,
        room: int,
        place: int,
        size: int,
        *,
        other: Callable[[int, bytes], None],
        own: Callable[[], None],
    ) -> None:
        self.heard = Heard([0] * size)
        self._room = room
        self._place = place
        self._own = own
        self._frames = FrameReader(message=self._message, other=other)
        self._seq: int | None = None

    def feed(self, chunk: bytes | memoryview) -> None:
        self._frames.feed(chunk)

    def _message(self, payload: bytes) -> None:
        heard = self.heard
        begin = payload.find(b"#") + 1
        try:
            room, place, count, at = map(int, payload[begin : begin + _SAID].split(b";", 4)[:4])
        except ValueError:
            self._fault(f"a foreign message: {payload[:200]!r}")
            return
        if room != self._room or not 0 <= place < len(heard.counts):
            self._fault(f"a message of member {place} of room {room}")
            return
        if count != heard.counts[place] + 1:
            self._fault(f"{count} of member {place} came after {heard.counts[place]}")
        heard.counts[place] = count
        heard.delays.append(time.monotonic_ns() - at)
        heard.moments.append(at)
        seq = number(payload)
        if seq is not None:
            if self._seq is not None and seq != self._seq + 1:
                self._fault(f"seq {seq} came after {self._seq}")
            self._seq = seq
        if place == self._place:
            self._own()

    def _fault(self, text: str) -> None:
        self.heard.faults += 1
        if len(self.heard.told) < _FAULTS_TOLD:
            self.heard.told.append(f"room {self._room}: {text}")
