"""Fakes in memory for the parts of a relay."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from broker.topology import Stream
from gateway.domain.message import Message
from gateway.errors import StoreUnavailable
from gateway.live.relay.missed import Gap


@dataclass
class FakeNotes:
    """What was noted of the messages of private queues, in order."""

    noted: list[tuple[str, Stream, int]] = field(default_factory=list)

    def delivered(self, stream: Stream, seq: int) -> None:
        self.noted.append(("delivered", stream, seq))

    def acknowledged(self, stream: Stream, seq: int) -> None:
        self.noted.append(("acknowledged", stream, seq))


@dataclass
class FakeMissed:
    """The history: what is missing before each message that shows a gap, and what was asked."""

    messages: Sequence[Message] = ()
    asked: list[Gap] = field(default_factory=list)
    away: bool = False
    #: After so many messages it is away.
    breaks_after: int | None = None

    async def before(self, gap: Gap) -> AsyncIterator[Message]:
        self.asked.append(gap)
        for number, message in enumerate(self.messages):
            if number == self.breaks_after:
                self.breaks_after, self.away = None, True
            self._check()
            yield message
        self._check()

    def _check(self) -> None:
        if self.away:
            raise StoreUnavailable("the database is away")


@dataclass
class FakeParking:
    """The place for messages that are too large, which is there once :attr:`stands` is set."""

    queue: str = "p.parked"
    told: list[tuple[int, str]] = field(default_factory=list)
    stands: asyncio.Event = field(default_factory=asyncio.Event)
    rejections: int = 0
    given_up: int = 0

    async def ready(self, room: int, what: str) -> None:
        self.told.append((room, what))
        try:
            await self.stands.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise

    def rejected(self) -> None:
        self.rejections += 1
