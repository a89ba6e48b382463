"""The messages that a private queue has dropped, or never got, from the history.

A message counts as missing if it is older than what comes now, and no host is known to have
acknowledged it. It may also be just behind: several gateways publish one stream, and not always in
its order. Then its copy is left out when it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from broker.timing.readings import UtcTime
from broker.topology import PRIVATE_QUEUE_EXPIRES_MS, Stream, Topology
from gateway.domain.message import Message
from gateway.live.relay.missed import Gap
from gateway.queues.acknowledged import INTERVAL, Acknowledgements
from gateway.queues.refill import PAGE, merged
from gateway.store.records import Page

#: Seconds until other gateways have stored what their hosts have acknowledged.
_STORED: Final = INTERVAL + 0.2
_DAY: Final = timedelta(milliseconds=PRIVATE_QUEUE_EXPIRES_MS)
_EVER: Final = datetime.min.replace(tzinfo=UTC)


class History(Protocol):
    """The stored messages. All methods raise :class:`gateway.errors.StoreUnavailable`."""

    async def read(self, stream: Stream, *, after: int, limit: int) -> Page: ...

    async def acknowledged(self, streams: Sequence[Stream]) -> dict[Stream, int]: ...


class Missed:
    """The messages that are missing in sessions which consume private queues."""

    def __init__(
        self,
        history: History,
        acknowledgements: Acknowledgements,
        topology: Topology,
        *,
        utc: UtcTime,
    ) -> None:
        self._history = history
        self._topology = topology
        self._acknowledgements = acknowledgements
        self._utc = utc

    async def before(self, gap: Gap) -> AsyncIterator[Message]:
        """See :meth:`gateway.live.relay.missed.MissedMessages.before`."""
        streams = self._topology.queued_streams(gap.stream.room)
        if gap.stream not in streams:
            # From before the queue got questions alone: hosts have the rest by the topic.
            return
        new = [stream for stream in streams if stream not in gap.seen]
        if new:
            await self._acknowledgements.flush()
        places = await self._history.acknowledged(streams)
        if gap.stream in new and places[gap.stream] < gap.seq - 1:
            await asyncio.sleep(_STORED)
            await self._acknowledgements.flush()
            places = await self._history.acknowledged(streams)
        # Other hosts may have gone on meanwhile, while this session was not the queue's consumer.
        floors = {stream: max(gap.seen.get(stream, 0), places[stream]) for stream in streams}
        shown = await self._history.read(gap.stream, after=gap.seq - 1, limit=1)
        if not shown.messages or shown.messages[0].seq != gap.seq:
            # Whoever published past the gateway has invented it.
            return
        until, day_ago = shown.messages[0].sent_at, self._utc() - _DAY
        # What is missing of the other stream is shown by its own messages, too, except before the
        # first one.
        ways = [
            self._way(
                stream,
                floors[stream],
                gap.seq - 1 if stream == gap.stream else None,
                # Where nobody uses the queue it expires every day, and no longer than that it would
                # have kept anything.
                since=day_ago if stream in new and places[stream] == 0 else _EVER,
                until=until,
            )
            for stream in streams
            if stream == gap.stream or stream in new
        ]
        async for page in merged(ways):
            for message in page:
                yield message

    async def _way(
        self, stream: Stream, after: int, last: int | None, *, since: datetime, until: datetime
    ) -> AsyncGenerator[Message]:
        """The messages of one stream: above ``after``, up to ``last``, sent within the times."""
        while last is None or after < last:
            page = await self._history.read(stream, after=after, limit=PAGE)
            for message in page.messages:
                seq = after = message.seq or 0
                if (last is None and message.sent_at > until) or (last is not None and seq > last):
                    return
                if message.sent_at >= since and not self._acknowledgements.has(stream, seq):
                    yield message
            if not page.messages:
                return
