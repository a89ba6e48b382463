"""A lane: one stream's way to the broker, which decides what is published next. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from uuid import UUID

from broker.publishing.publication import Publication
from broker.topology import Stream
from gateway.domain.message import Message


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored message that the broker has not confirmed, ready to be sent."""

    seq: int
    message: Message
    publication: Publication

    @property
    def size(self) -> int:
        return len(self.publication.body)


@dataclass(frozen=True, slots=True)
class Publish:
    """The command to publish a message. Answer it with :meth:`Lane.confirmed`, :meth:`Lane.failed`
    or :meth:`Lane.parked`."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Read:
    """The command to read on in the store. Answer it with :meth:`Lane.read`."""

    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class Rest:
    """The command to wait after so many failures in a row. Answer it with :meth:`Lane.rested`."""

    failures: int


Command = Publish | Read | Rest


class Lane:
    """The unconfirmed messages of one stream, in ``seq`` order.

    Up to ``window`` of them are held in memory and may be on the wire at once. A message that
    failed goes out again, after a rest, before any message that has not been out yet, so no message
    overtakes another on its first way. Of messages beyond the window the lane only knows that the
    store has them.

    Report events by the methods, then carry out :meth:`commands`.
    """

    def __init__(self, stream: Stream, *, after: int, window: int, resting: bool = False) -> None:
        """Begin behind ``after``: everything up to this seq is published.

        ``resting``: nothing is published before the first :meth:`rested`.
        """
        self.stream = stream
        #: A publication came back because no queue takes it.
        self.unroutable = False
        #: Nothing is published for now: the room's queue is being replaced.
        self.held_back = False
        self._window = window
        self._held: dict[int, Entry] = {}
        self._to_send: list[int] = []
        self._bytes = 0
        #: Up to here everything is held or confirmed; only the store knows what comes after.
        self._reached = after
        self._store_has_more = False
        self._reading = False
        self._read_is_stale = False
        self._failures = 0
        #: After a failure: the one message that is tried alone until the broker confirms something.
        self._alone: int | None = None
        self._rest_is_due = False
        self._resting = resting

    @property
    def depth(self) -> int:
        """The number of messages in memory."""
        return len(self._held)

    @property
    def on_wire(self) -> int:
        """The number of messages that are out and have no answer yet."""
        return len(self._held) - len(self._to_send)

    @property
    def oldest(self) -> Entry | None:
        """The message in memory that comes first."""
        return self._held[min(self._held)] if self._held else None

    @property
    def is_done(self) -> bool:
        """Whether no message of the stream is known to wait for the broker."""
        return not (self._held or self._store_has_more or self._reading)

    @property
    def is_resting(self) -> bool:
        """Whether nothing may be published now."""
        return self._resting or self.held_back

    def awaits(self, seq: int) -> bool:
        """Whether the broker's confirm of this message is still missing."""
        more = self._store_has_more or self._reading
        return seq in self._held or (more and seq > self._reached)

    def add(self, entry: Entry, *, memory: int) -> None:
        """Append a message that has just been stored.

        ``memory``: the bytes of bodies that the lane may hold; it always holds one message.
        """
        if entry.seq <= self._reached:
            return  # a moment ago it was read from the store
        if self._store_has_more or self._reading or not self._fits(memory):
            self._store_has_more = True
        else:
            self._hold(entry)

    def read_on(self) -> None:
        """Read on after the messages that were added: the store may have more."""
        self._store_has_more = True

    def read_anew(self) -> None:
        """Read everything anew, from the first seq on: what is held here may no longer be right.

        Messages on the wire stay there; the rest is forgotten and read again.
        """
        for seq in self._to_send:
            self._bytes -= self._held.pop(seq).size
        self._to_send.clear()
        self._reached = 0
        self._store_has_more = True
        self._read_is_stale = self._reading

    def read(
        self, page: Sequence[Entry], *, complete: bool, memory: int, done: Container[UUID] = ()
    ) -> None:
        """Take the answer to :class:`Read`. ``complete``: the store had no more than this.

        ``done``: ids that are in the store's outbox but need not be published, because they are
        confirmed and just not removed yet, or parked.
        """
        self._reading = False
        if self._read_is_stale:
            self._read_is_stale = False
            return
        for entry in page:
            if entry.seq in self._held or entry.message.id in done:
                self._reached = entry.seq
                continue
            if not self._fits(memory):
                complete = False
                break
            self._hold(entry)
        if not complete:
            self._store_has_more = True

    def confirmed(self, seq: int) -> None:
        self._bytes -= self._held.pop(seq).size
        self._failures = 0
        self._alone = None

    def parked(self, seq: int) -> None:
        """Skip a message that the broker refuses: the messages behind it go on."""
        self._bytes -= self._held.pop(seq).size
        self._failures = 0
        if seq == self._alone:
            self._alone = None

    def failed(self, seq: int, *, unroutable: bool = False) -> None:
        """Note that a message was not confirmed, for any reason: it may have been delivered all the
        same."""
        heappush(self._to_send, seq)
        if seq == self._alone:
            self._alone = None
        self.unroutable = self.unroutable or unroutable
        if not self._resting:
            self._failures += 1
            self._resting = self._rest_is_due = True

    def rested(self) -> None:
        self._resting = False
        self.unroutable = False

    def commands(self, *, memory: int) -> Iterator[Command]:
        """The commands to carry out now; each is returned once."""
        if self._store_has_more and not self._reading and self._has_space(memory):
            self._reading, self._store_has_more = True, False
            yield Read(self._reached, self._window - len(self._held))
        if self._rest_is_due:
            self._rest_is_due = False
            yield Rest(self._failures)
        while self._to_send and not self.is_resting and self._alone is None:
            seq = heappop(self._to_send)
            if self._failures:
                # If the broker, coming back, refused some of them one by one, they would arrive out
                # of order.
                self._alone = seq
            yield Publish(self._held[seq])

    def _hold(self, entry: Entry) -> None:
        self._held[entry.seq] = entry
        self._bytes += entry.size
        self._reached = entry.seq
        heappush(self._to_send, entry.seq)

    def _fits(self, memory: int) -> bool:
        return not self._held or (len(self._held) < self._window and self._bytes < memory)

    def _has_space(self, memory: int) -> bool:
        # At half of the window, so that a page is worth its query.
        return 2 * len(self._held) <= self._window and 2 * self._bytes <= memory
