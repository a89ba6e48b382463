"""In-memory fakes of the store and of the broker, which fail as told."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self, TypeVar
from uuid import UUID, uuid4

from broker.publishing.provision import QueueFailed
from broker.publishing.publication import (
    AlreadyInFlight,
    NotConfirmed,
    Publication,
    Refused,
    Returned,
)
from broker.topology import Audience, Stream
from gateway.domain.message import Draft, Message
from gateway.domain.room import Room
from gateway.errors import GatewayError, IdReused, StoreUnavailable
from gateway.store.records import Appended, OutboxSize, Unpublished

_T = TypeVar("_T")

STREAM = Stream(Audience.PUBLIC, 42)


def draft(body: Any = "hello", stream: Stream = STREAM, message_id: UUID | None = None) -> Draft:
    sent_at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return Draft(message_id or uuid4(), stream, "kim", sent_at, "chat", body)


def message(seq: int, stream: Stream = STREAM) -> Message:
    return draft(f"number {seq}", stream).numbered(seq)


@dataclass
class FakeStore:
    """A store in memory.

    ``latency``: seconds that each call takes. ``away``: every call fails.

    ``loses_answers``: a call does its work and then fails, as when the connection breaks. ``me`` is
    the gateway that it is the store of; ``living`` are those with a lease. ``portion``: how many
    messages it gives at a time, whatever is asked for, as it does with large ones. ``heard`` tells
    that an application has stored a message.
    """

    latency: float = 0.001
    away: bool = False
    loses_answers: bool = False
    messages: dict[UUID, Message] = field(default_factory=dict)
    outbox: dict[UUID, Message] = field(default_factory=dict)
    me: str = "me"
    owners: dict[UUID, str] = field(default_factory=dict)
    living: set[str] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)
    batches: list[int] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    portion: int = 1_000_000
    heard: Callable[[], None] = field(default=lambda: None)

    def put(self, messages: Iterable[Message]) -> None:
        """The messages of this gateway that are stored and not published."""
        for each in messages:
            self.messages[each.id] = self.outbox[each.id] = each
            self.owners[each.id] = self.me

    def another(self, name: str) -> Self:
        """Another gateway's store on the same database."""
        return replace(self, me=name)

    async def renew_lease(self, seconds: float) -> bool:
        def renew() -> bool:
            had_one = self.me in self.living
            self.living.add(self.me)
            return had_one

        return await self._call(renew)

    async def end_lease(self) -> None:
        await self._call(lambda: self.living.discard(self.me))

    async def hear(self, heard: Callable[[], None]) -> None:
        self.heard = heard
        await asyncio.Event().wait()

    async def take_over(self, *, limit: int) -> list[Stream]:
        def take() -> list[Stream]:
            left = [
                each for each in self.outbox.values() if self.owners[each.id] not in self.living
            ]
            for each in left[:limit]:
                self.owners[each.id] = self.me
            return [each.stream for each in left[:limit]]

        return await self._call(take)

    async def release(self, *, limit: int) -> int:
        def leave() -> int:
            own = [id for id in self.outbox if self.owners[id] == self.me][:limit]
            for id in own:
                self.owners[id] = "nobody"
            return len(own)

        return await self._call(leave)

    async def is_published(self, message_id: UUID) -> bool:
        return await self._call(lambda: message_id not in self.outbox)

    async def room(self, room: int) -> Room | None:
        at = datetime(2026, 1, 2, tzinfo=UTC)
        closed_at = at if room in self.closed else None
        return await self._call(lambda: Room(room, "a room", at, closed_at))

    async def append(self, drafts: Sequence[Draft]) -> list[Appended | GatewayError]:
        return await self._call(lambda: self._append(drafts))

    async def stored(self, message_id: UUID) -> Appended | None:
        def look() -> Appended | None:
            found = self.messages.get(message_id)
            if found is None:
                return None
            return Appended(found, repeated=True, published=message_id not in self.outbox)

        return await self._call(look)

    async def unpublished_streams(self) -> list[Stream]:
        return await self._call(lambda: sorted({each.stream for each in self._own()}, key=str))

    async def unpublished_in(self, stream: Stream, *, after: int, limit: int) -> Unpublished:
        def find() -> Unpublished:
            own = sorted(self._own(), key=_seq)
            found = [each for each in own if each.stream == stream and _seq(each) > after]
            most = min(limit, self.portion)
            return Unpublished(found[:most], more=len(found) > most)

        return await self._call(find)

    async def outbox_size(self) -> OutboxSize:
        return await self._call(
            lambda: OutboxSize(
                len(self.outbox), sum(len(str(each.body)) for each in self.outbox.values())
            )
        )

    async def mark_published(self, ids: Sequence[UUID]) -> None:
        def mark() -> None:
            self.marks.append(len(ids))
            for each in ids:
                self.outbox.pop(each, None)

        await self._call(mark)

    def _own(self) -> list[Message]:
        return [each for each in self.outbox.values() if self.owners[each.id] == self.me]

    def _append(self, drafts: Sequence[Draft]) -> list[Appended | GatewayError]:
        self.batches.append(len(drafts))
        return [self._take(each) for each in drafts]

    def _take(self, new: Draft) -> Appended | GatewayError:
        if known := self.messages.get(new.id):
            if not known.says_the_same_as(new):
                return IdReused("used")
            return Appended(known, repeated=True, published=known.id not in self.outbox)
        head = sum(each.stream == new.stream for each in self.messages.values())
        stored = new.numbered(head + 1)
        self.put([stored])
        return Appended(stored, repeated=False)

    async def _call(self, work: Callable[[], _T]) -> _T:
        await asyncio.sleep(self.latency)
        if self.away:
            raise StoreUnavailable("the database is away")
        result = work()
        if self.loses_answers:
            raise StoreUnavailable("the connection broke")
        return result


def _seq(each: Message) -> int:
    assert each.seq is not None
    return each.seq


#: What happens to a publication: the seconds until the answer, and the answer.
Fate = tuple[float, type[NotConfirmed] | None]


@dataclass
class FakeBroker:
    """Publications come to their fates in the order of the calls, then all are confirmed.

    ``away``: there is no connection. ``wire``: what was written, in that order. ``queues``: the
    rooms whose private queue exists; None: all of them. ``refuses``: ids that it never takes.
    """

    fates: list[Fate] = field(default_factory=list)
    latency: float = 0.005
    away: bool = False
    queues: set[int] | None = None
    refuses: set[str] = field(default_factory=set)
    wire: list[Publication] = field(default_factory=list)
    declared: list[int] = field(default_factory=list)
    on_the_way: list[str] = field(default_factory=list)
    most_on_the_way: int = 0

    async def publish(self, publication: Publication, timeout: float) -> None:  # noqa: ASYNC109
        if self.away:
            raise NotConfirmed("no connection")
        if publication.message_id in self.on_the_way:
            raise AlreadyInFlight("the same id twice")
        self.wire.append(publication)
        self.on_the_way.append(publication.message_id)
        self.most_on_the_way = max(self.most_on_the_way, len(self.on_the_way))
        delay, failure = self.fates.pop(0) if self.fates else (self.latency, None)
        try:
            await asyncio.sleep(min(delay, timeout))
        finally:
            self.on_the_way.remove(publication.message_id)
        if publication.message_id in self.refuses:
            raise Refused("PRECONDITION_FAILED - message size")
        if failure is not None or delay > timeout:
            raise (failure or NotConfirmed)("as told")
        if self.queues is not None and int(publication.headers["room"]) not in self.queues:
            raise Returned("no queue")

    async def declare_private_queue(self, room: int) -> None:
        if self.away:
            raise QueueFailed("no connection")
        self.declared.append(room)
        if self.queues is not None:
            self.queues.add(room)

    def seqs(self, stream: Stream = STREAM) -> list[int]:
        """The numbers of one stream's publications, as written."""
        return [
            int(each.headers["seq"])
            for each in self.wire
            if each.headers["room"] == str(stream.room)
            and each.headers["audience"] == str(stream.audience)
        ]


def first_times(seqs: Iterable[_T]) -> list[_T]:
    """Without the repetitions."""
    return list(dict.fromkeys(seqs))
