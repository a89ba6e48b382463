"""The frames that were sent to RabbitMQ and are not known to have been taken. Pure.

RabbitMQ takes a session's frames in their order, so the answer to one proves those before it. A
frame that publishes is an exception: it goes on to a channel, whose refusal comes a moment later.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from gateway.live.relay.familiar import MOST, Familiar, Kind

#: Frames that are named when a session ends.
_NAMED: Final = 5
#: Characters of a name that a client has chosen.
_LONGEST: Final = 120


class Doubt:
    """One session's doubt. Frames are numbered from 1; only those count that could end the session,
    or that somebody could miss. ``familiar``: what RabbitMQ has taken from the client before."""

    __slots__ = (
        "_answered",
        "_familiar",
        "_last",
        "_last_message",
        "_names",
        "_new",
        "_proven",
        "_strange",
        "_wrong",
        "passed",
    )

    def __init__(self, familiar: Familiar | None = None) -> None:
        #: The number of the last frame.
        self.passed = 0
        self._proven = self._last = self._last_message = self._answered = self._strange = 0
        self._wrong = 0
        self._familiar = Familiar() if familiar is None else familiar
        #: The kinds that will be familiar once their first frame is taken, by its number.
        self._new: dict[Kind, int] = {}
        self._names: deque[tuple[int, str]] = deque(maxlen=_NAMED)

    def sent(
        self,
        command: str,
        name: str | None,
        *,
        message: bool = False,
        answered: bool = False,
        kind: Kind | None = None,
        wrong: bool = False,
    ) -> int:
        """A frame was passed on; its number. ``message``: it publishes, so that what became of it
        matters to somebody else. ``answered``: RabbitMQ will answer it in its turn. ``kind``: a
        SEND's, if it has one. ``wrong``: it names what there is not, and RabbitMQ will say so."""
        self.passed = self._last = number = self.passed + 1
        if kind not in self._familiar:
            self._strange = number
            if kind is not None and len(self._new) < MOST:
                self._new.setdefault(kind, number)
        if answered:
            self._answered = number
        if wrong:
            self._wrong = number
        if message:
            self._last_message = number
        shown = f"{command} {name[:_LONGEST]!r}" if name else command
        self._names.append((number, shown))
        return number

    def proven(self, number: int) -> None:
        """RabbitMQ has taken all up to that frame."""
        self._proven = max(self._proven, number)
        while self._new and self._new[kind := next(iter(self._new))] <= self._proven:
            del self._new[kind]
            self._familiar.learn(kind)
        while self._names and self._names[0][0] <= self._proven:
            self._names.popleft()

    def is_proven(self, number: int) -> bool:
        """Whether RabbitMQ has taken this frame, and all before it."""
        return number <= self._proven

    @property
    def any(self) -> bool:
        """Whether there is a frame that may have ended the session."""
        return self._last > self._proven

    @property
    def is_strange(self) -> bool:
        """Whether there is one whose like RabbitMQ has not taken before."""
        return self._strange > self._proven

    @property
    def is_wrong(self) -> bool:
        """Whether there is one for which RabbitMQ will end the session: until it does, more of them
        would cost it, and the gateway, for nothing."""
        return self._wrong > self._proven

    @property
    def is_to_be_asked(self) -> bool:
        """Whether there is one behind all those whose answers are on their way."""
        return self._last > max(self._proven, self._answered)

    @property
    def messages(self) -> bool:
        """Whether there is a message of which nobody knows whether it was taken."""
        return self._last_message > self._proven

    def __str__(self) -> str:
        """Those frames, for the client."""
        more = self._last - self._proven - len(self._names)
        names = ", ".join(name for _, name in self._names)
        return f"{names} (and {more} before)" if more > 0 else names
