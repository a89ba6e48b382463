"""The messages that a new private queue gets from the history, in their order."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Final, Protocol

from broker.topology import (
    PRIVATE_QUEUE_BYTES,
    PRIVATE_QUEUE_EXPIRES_MS,
    PRIVATE_QUEUE_MESSAGES,
    Stream,
)
from gateway.domain.message import Message
from gateway.store.records import Page

#: The messages, and bytes of them, that a new queue gets at most, the oldest first: fewer than it
#: can hold. What follows them is in the history, from which the relay gives it to the host; the
#: last message of each stream is added, which shows what is missing before it.
MOST: Final = PRIVATE_QUEUE_MESSAGES * 8 // 10
MOST_BYTES: Final = PRIVATE_QUEUE_BYTES * 3 // 4
#: Messages that are read from the history at once.
PAGE: Final = 250
_EVER: Final = datetime.min.replace(tzinfo=UTC)


class History(Protocol):
    """The stored messages. All methods raise :class:`gateway.errors.StoreUnavailable`."""

    async def read(self, stream: Stream, *, after: int, limit: int) -> Page: ...

    async def acknowledged(self, streams: Sequence[Stream]) -> dict[Stream, int]: ...

    async def heads(self, streams: Sequence[Stream]) -> dict[Stream, int]: ...

    async def unpublished_seqs(self, stream: Stream) -> dict[int, bool]: ...


@dataclass(frozen=True, slots=True)
class Span:
    """Messages of one stream: above ``after`` and up to ``to``, sent at ``since`` or later, without
    those in ``left_out``."""

    stream: Stream
    after: int
    to: int
    since: datetime
    left_out: frozenset[int]

    def __contains__(self, message: Message) -> bool:
        seq = message.seq or 0
        return (
            self.after < seq <= self.to
            and message.sent_at >= self.since
            and seq not in self.left_out
        )


class Refill:
    """The messages that one room's new queue still has to get.

    Messages that this gateway has not published yet are left out: they are held back, and follow
    when the queue is bound. Those of other gateways may be published at any time, so they are left
    out before the queue is bound, and added afterwards: in doubt they come twice.
    """

    def __init__(self, history: History, streams: Sequence[Stream], *, now: datetime) -> None:
        self._history = history
        self._day_ago = now - timedelta(milliseconds=PRIVATE_QUEUE_EXPIRES_MS)
        self._streams = streams
        #: By stream: what the queue has, in spans.
        self._done: dict[Stream, list[Span]] = {stream: [] for stream in self._streams}
        self._acknowledged: Mapping[Stream, int] = {}
        self._messages, self._bytes = 0, 0
        #: By stream: the highest seq that the queue has got.
        self._given = dict.fromkeys(self._streams, 0)

    @property
    def is_full(self) -> bool:
        """Whether the queue must not get more, so that something is missing in it."""
        return self._messages >= MOST or self._bytes >= MOST_BYTES

    async def before_binding(self) -> AsyncIterator[list[Message]]:
        """Pages of the messages that hosts have not acknowledged and somebody has published.

        Raises StoreUnavailable.
        """
        self._acknowledged = await self._history.acknowledged(self._streams)
        async for page in self._missing(lambda own: True):
            yield page

    async def after_binding(self) -> AsyncIterator[list[Message]]:
        """Pages of the messages that may have been published before the queue was bound and are
        missing in it.

        Raises StoreUnavailable.
        """
        if not self.is_full:
            async for page in self._missing(lambda own: own):
                yield page
        if self.is_full and (last := await self._last_of_each()):
            yield last

    async def _last_of_each(self) -> list[Message]:
        """The last message of each stream, unless the queue has it or gets it from its outbox."""
        found = []
        heads = await self._history.heads(self._streams)
        for stream in self._streams:
            head = heads.get(stream, 0)
            if head <= max(self._given[stream], self._acknowledged.get(stream, 0)):
                continue
            if (await self._history.unpublished_seqs(stream)).get(head, False):
                continue
            page = await self._history.read(stream, after=head - 1, limit=1)
            found += [each for each in page.messages if each.sent_at >= self._since(stream)]
        return sorted(found, key=lambda each: each.sent_at)

    def _since(self, stream: Stream) -> datetime:
        """The time from which on the queue has the stream's messages. Where nobody uses the queue
        it expires every day, and no longer than that it would have kept anything."""
        return _EVER if self._acknowledged.get(stream, 0) else self._day_ago

    async def _missing(self, left_out: Callable[[bool], bool]) -> AsyncIterator[list[Message]]:
        heads = await self._history.heads(self._streams)
        spans = []
        for stream in self._streams:
            unpublished = await self._history.unpublished_seqs(stream)
            waiting = frozenset(seq for seq, own in unpublished.items() if left_out(own))
            head = heads.get(stream, 0)
            acknowledged = self._acknowledged.get(stream, 0)
            spans.append(Span(stream, acknowledged, head, self._since(stream), waiting))
        async with aclosing(merged([self._pages(span) for span in spans])) as pages:
            async for page in pages:
                yield list(takewhile(self._fits, page))
                if self.is_full:
                    return
        for span in spans:
            self._done[span.stream].append(span)

    def _fits(self, message: Message) -> bool:
        """Whether the queue may still get this message; if so, it is counted."""
        if self.is_full:
            return False
        self._given[message.stream] = message.seq or 0
        self._messages += 1
        self._bytes += len(message.encode())
        return True

    async def _pages(self, span: Span) -> AsyncIterator[Message]:
        """One stream's messages, one by one."""
        after, done = span.after, self._done[span.stream]
        while after < span.to:
            page = await self._history.read(span.stream, after=after, limit=PAGE)
            for message in page.messages:
                if message in span and not any(message in each for each in done):
                    yield message
                after = message.seq or 0
            if not page.messages:
                return


async def merged(streams: Sequence[AsyncIterator[Message]]) -> AsyncGenerator[list[Message]]:
    """The messages of all streams by the time of sending, in lists of at most :data:`PAGE`."""
    page: list[Message] = []
    heads = [(await anext(stream, None), stream) for stream in streams]
    while waiting := [(head, stream) for head, stream in heads if head is not None]:
        first, _ = min(waiting, key=lambda each: each[0].sent_at)
        page.append(first)
        heads = [
            (await anext(stream, None) if head is first else head, stream) for head, stream in heads
        ]
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
