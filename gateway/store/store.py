"""The store: all data that outlives a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Final, Self, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import Connection

from broker.timing.readings import UnixTime
from broker.topology import Stream
from gateway.database_url import SqliteFile, parse
from gateway.domain.class_code import ClassCode, Door, Guests, Knock, KnockState
from gateway.domain.erasure import Erasure
from gateway.domain.message import Draft, Message
from gateway.domain.revocation import Revocation, Target
from gateway.domain.room import Member, MemberRole, Membership, Room, Roster
from gateway.domain.room_facts import RoomFacts
from gateway.domain.session import EndedSession, Endings, LoginSession, Proof
from gateway.domain.shown_account import AccountPage
from gateway.domain.stay import Stay
from gateway.domain.traced_message import TracedMessage
from gateway.errors import GatewayError, StoreUnavailable
from gateway.store import (
    account_pages,
    accounts,
    approvals,
    attendance,
    class_codes,
    copies,
    erasures,
    history,
    journal,
    kept,
    leases,
    neighbours,
    outbox,
    private_queues,
    retention,
    revocations,
    room_facts,
    rooms,
    sessions,
    traces,
    user_names,
)
from gateway.store.approvals import Waited
from gateway.store.database import CONNECTIONS, Database, Readers
from gateway.store.journal import StoredJournal
from gateway.store.keys import KeyBounds
from gateway.store.portions import READ_BYTES
from gateway.store.post_function import PostLimits
from gateway.store.quota import Quota
from gateway.store.records import (
    Account,
    Appended,
    JsonPage,
    Meeting,
    OutboxSize,
    Page,
    QueueDue,
    QueueRecord,
    StatePage,
    Unpublished,
)
from gateway.store.sqlite import SqliteDatabase
from gateway.store.user_names import StandingName
from gateway.store.watched import Watched

T = TypeVar("T")

#: Seconds that any call may take before it counts as failed; disconnecting may take two more.
TIMEOUT: Final = 5.0


class Store:
    """Rooms, members, messages, outbox and accounts of all gateways. Make one with :meth:`open`.

    Every method raises :class:`gateway.errors.StoreUnavailable` when the database is away. Times
    are aware datetimes; they come back in UTC with their microseconds. Each store belongs to one
    gateway: ``gateway`` is its identity, drawn anew at each start, under which it owns entries of
    the outbox.
    """

    def __init__(self, database: Database) -> None:
        self.gateway = uuid4()
        #: For each room, and for its keys; set before anything is stored.
        self.quota = Quota()
        self.key_bounds = KeyBounds()
        #: What was found at opening, or done: "is at revision 0021".
        self.schema = ""
        self._database = Watched(
            database, probe=lambda connection, size: leases.probe(connection, self.gateway, size)
        )
        #: What has happened at all gateways.
        self.journal = StoredJournal(self._database)

    @property
    def name(self) -> str:
        """The database's file or server, without credentials."""
        return self._database.name

    @property
    def log_bytes(self) -> int:
        """The bytes of SQLite's write-ahead log; 0 with PostgreSQL."""
        return self._database.log_bytes

    @property
    def free_bytes(self) -> int | None:
        """The bytes that are free on the disk of a SQLite file, as far as is known."""
        return self._database.free_bytes

    @property
    def reading(self) -> str | None:
        """Why reading fails now, in the database's own words; None: it works."""
        return self._database.reading

    @property
    def writing(self) -> str | None:
        """Why writing fails now, in the database's own words; None: it works."""
        return self._database.writing

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        migrate: bool = False,
        call_timeout: float = TIMEOUT,
        connections: int = CONNECTIONS,
        posting: PostLimits | None = None,
    ) -> Self:
        """Open ``sqlite:///file`` or ``postgresql://…`` (with libpq's parameters).

        ``migrate``: make the tables, or bring them up to date; without it tables that this version
        cannot use are refused. Raises :class:`gateway.errors.StoreUnavailable`, whose text tells
        the operator what to do; it never holds the password. ``call_timeout``: seconds that each
        call may take. ``connections``: the most to PostgreSQL, besides those for pages.
        ``posting``: for what applications store in their own transactions; None: this is no
        gateway that serves.
        """
        database = _database(url, timeout=call_timeout, connections=connections, posting=posting)
        try:
            told = await database.open(migrate=migrate)
        except BaseException:
            await database.close()
            raise
        store = cls(database)
        store.schema = told
        return store

    async def close(self) -> None:
        await self._database.close()

    async def ping(self) -> None:
        """Check that the database can be read and written now. However often this is called, the
        database is asked at most once a second."""
        await self._database.check()

    async def prove(self) -> None:
        """Write as much as a message has, even after a recent write. :meth:`end_lease` deletes it
        again."""
        await self._database.prove()

    # Rooms and members

    async def create_room(
        self,
        title: str,
        members: Mapping[str, MemberRole],
        at: datetime,
        *,
        creator: str | None = None,
        names: Mapping[str, str] = MappingProxyType({}),
        refusal: rooms.RoomRefusal | None = None,
    ) -> Room:
        """Create a room with the next number. ``names``: what is shown beside the names of users
        of whom nothing is known yet.

        ``refusal`` is given the numbers of rooms that are open, those that ``creator`` has created
        and all; it returns the error for one more. It runs in a thread of the database, within the
        transaction that creates the room.

        Raises LastHost without a host among the members, Invalid for values that cannot be stored,
        and the error of ``refusal``.
        """
        create = partial(rooms.create, title=title, users=members, at=at, names=names)
        return await self._database.write(partial(create, creator=creator, refusal=refusal))

    async def copy_room(
        self,
        room: int,
        *,
        title: str | None,
        creator: str,
        name: str | None,
        at: datetime,
        refusal: rooms.RoomRefusal | None = None,
    ) -> Room:
        """See :func:`gateway.store.copies.copy`. ``refusal``: as in :meth:`create_room`. What the
        new room's streams have is in this gateway's outbox."""
        copy = partial(copies.copy, number=room, title=title, creator=creator, name=name, at=at)
        return await self._database.write(
            partial(
                copy,
                refusal=refusal,
                owner=self.gateway,
                quota=self.quota,
                bounds=self.key_bounds,
            )
        )

    async def room(self, room: int) -> Room | None:
        return await self._database.read(partial(rooms.get, number=room))

    async def rooms_of(self, user: str) -> list[tuple[Room, MemberRole]]:
        """The rooms that have the user as a member, closed ones too, oldest first."""
        return await self._database.read(partial(rooms.of_user, user=user))

    async def close_room(self, room: int, at: datetime) -> bool:
        """Close a room; its history stays. False: there is no such room, or it is closed
        already."""

        def close(connection: Connection) -> bool:
            class_codes.withdraw(connection, room)
            return rooms.close(connection, room, at)

        return await self._database.write(close)

    async def reopen_room(self, room: int, *, refusal: rooms.RoomRefusal | None = None) -> bool:
        """Open a closed room again; False: it is open. ``refusal``: as in :meth:`create_room`.
        Raises UnknownRoom, and the error of ``refusal``."""
        return await self._database.write(partial(rooms.reopen, number=room, refusal=refusal))

    async def rename_room(self, room: int, title: str) -> None:
        """Give the room another title. Raises UnknownRoom, Invalid."""
        await self._database.write(partial(rooms.rename, number=room, title=title))

    async def room_facts(self, room: int, since: datetime) -> RoomFacts | None:
        """The facts about a room for operators; ``since``: a minute ago. None: there is none."""
        find = partial(room_facts.facts, number=room, since=since)
        return await self._database.scan(find, lambda found: found)

    async def keep_room(self, room: int, days: int | None) -> None:
        """Keep the room's messages for so many days; None: for as long as all others. Raises
        UnknownRoom."""
        await self._database.write(partial(rooms.keep, number=room, days=days))

    async def open_rooms(self) -> list[int]:
        return await self._database.read(rooms.still_open)

    async def membership(self, room: int, user: str) -> Membership | None:
        """The user's membership of the room. None: there is no such room."""
        return await self._database.read(partial(rooms.membership, number=room, user=user))

    async def roster(self, room: int) -> Roster | None:
        """All members of the room. None: there is no such room."""
        return await self._database.read(partial(rooms.roster, number=room))

    async def revisions(self, numbers: Sequence[int]) -> dict[int, int]:
        """By room: a number that grows with every change of its memberships and with its
        closing."""
        return await self._database.read(partial(rooms.revisions, numbers=numbers))

    async def hosts(self, room: int) -> list[str]:
        """The users who are hosts of the room, by name."""
        return await self._database.read(partial(rooms.hosts, number=room))

    async def members(self, room: int) -> list[Member]:
        """The members; empty for a room that does not exist. There may be a thousand, so that
        memberships are read by other threads."""
        return await self._database.scan(
            partial(rooms.member_rows, number=room), rooms.members_of_rows
        )

    async def set_member(
        self,
        room: int,
        user: str,
        role: MemberRole,
        name: str | None = None,
        *,
        one_more: rooms.MemberRefusal | None = None,
    ) -> MemberRole | None:
        """Add a member or change the role. Returns the role before. ``name``: what is shown beside
        the user's name, if nothing is known yet. ``one_more`` gives the error for one more member,
        by their number, within the transaction. Raises UnknownRoom, RoomClosed, LastHost, Invalid,
        and that error."""

        def set_member(connection: Connection) -> MemberRole | None:
            before = rooms.set_member(connection, room, user, role, name, one_more=one_more)
            class_codes.let_back(connection, room, user)
            return before

        return await self._database.write(set_member)

    async def add_members(
        self, room: int, new: Sequence[Member], *, one_more: rooms.MemberRefusal
    ) -> list[str]:
        """Add those who are no members yet, all or none. Returns their names. ``one_more`` gives
        the error for one more member, by their number, within the transaction. Raises UnknownRoom,
        RoomClosed, Invalid, and that error."""

        def add(connection: Connection) -> list[str]:
            added = rooms.add_members(connection, room, new, one_more)
            for user in added:
                class_codes.let_back(connection, room, user)
            return added

        return await self._database.write(add)

    async def name_members(self, user: str, name: str | None) -> None:
        """Show this name beside the user's name, in all rooms."""
        await self._database.write(partial(rooms.name_members, user=user, name=name))

    async def remove_member(self, room: int, user: str) -> bool:
        """Remove a member, who cannot come back by the room's class code. False: the user was none.
        Raises LastHost."""

        def remove(connection: Connection) -> bool:
            if not rooms.remove_member(connection, room, user):
                return False
            class_codes.turn_away(connection, room, user)
            return True

        return await self._database.write(remove)

    # Class codes and guests

    async def class_code(self, room: int) -> ClassCode | None:
        """The room's class code; None: it has none."""
        return await self._database.read(partial(class_codes.get, room=room))

    async def put_class_code(
        self, room: int, code: str, guests: Guests, at: datetime, *, renew: bool
    ) -> ClassCode | None:
        """Let in ``guests`` by the code that the room has, or by ``code`` if it has none or is to
        ``renew`` it. None: another room has that one. Raises UnknownRoom, RoomClosed."""
        put = partial(class_codes.put, room=room, code=code, guests=guests, at=at, renew=renew)
        return await self._database.write(put)

    async def withdraw_class_code(self, room: int) -> bool:
        """Let nobody in by a code any more; False: there was none."""
        return await self._database.write(partial(class_codes.withdraw, room=room))

    async def door(self, code: str) -> Door | None:
        """The open room that a class code leads to."""
        return await self._database.read(partial(class_codes.door, code=code))

    async def enter(
        self, room: int, code: str, user: str, name: str | None, *, one_more: class_codes.OneMore
    ) -> class_codes.Entered:
        """Make somebody with an account a participant by a class code; a member stays what they
        are. ``one_more`` gives the error for one more member, by their number, within the
        transaction. Raises UnknownCode, TurnedAway, and that error."""
        return await self._database.write(
            partial(
                class_codes.enter, room=room, code=code, user=user, name=name, one_more=one_more
            )
        )

    async def enter_as_guest(
        self,
        room: int,
        code: str,
        nickname: str,
        session: LoginSession,
        *,
        one_more: class_codes.OneMore,
        knock: str | None = None,
    ) -> class_codes.Entered:
        """Let in a guest by a class code, or by a ``knock`` that was admitted, with a number behind
        the nickname if somebody is called so. Raises UnknownCode, GuestsRefused, UnknownKnock, and
        the error of ``one_more``."""
        return await self._database.write(
            partial(
                class_codes.enter_as_guest,
                room=room,
                code=code,
                nickname=nickname,
                session=session,
                one_more=one_more,
                knock=knock,
            )
        )

    async def add_knock(
        self,
        room: int,
        code: str,
        id: str,
        nickname: str,
        at: datetime,
        *,
        most: class_codes.OneMore,
    ) -> None:
        """Let somebody knock at a room's door. Raises UnknownCode, GuestsRefused, and the error of
        ``most``."""
        add = partial(class_codes.add_knock, room=room, code=code, id=id, nickname=nickname)
        await self._database.write(partial(add, at=at, most=most))

    async def knock(self, id: str, now: datetime) -> Knock | None:
        """The knock, whose owner is there now; None: there is none, or it was long ago."""
        found = await self._database.read(partial(class_codes.knock, id=id))
        if found is None:
            return None
        knock, seen_at = found
        if now - seen_at > class_codes.KEPT:
            return None
        if now - seen_at > class_codes.NOTED:
            await self._database.write(partial(class_codes.saw_knock, id=id, at=now))
        return knock

    async def knocks(self, room: int, now: datetime) -> list[Knock]:
        """Those who wait at the room's door now, the first one first. There may be hundreds, so
        that memberships are read by other threads."""
        query = partial(class_codes.waiting, room=room, now=now)
        return await self._database.scan(query, class_codes.of_rows)

    async def answer_knocks(
        self, room: int, numbers: Collection[int] | None, state: KnockState, now: datetime
    ) -> int:
        """Admit or refuse those who wait; None: all of :meth:`knocks`. Returns how many."""
        answer = partial(class_codes.answer_knocks, room=room, numbers=numbers, state=state)
        return await self._database.write(partial(answer, now=now))

    async def end_guests(
        self, room: int, at: datetime, reason: str, *, remove: bool
    ) -> Sequence[EndedSession]:
        """End the sessions of all guests of the room; ``remove``: and their memberships."""
        end = partial(class_codes.end_guests, room=room, at=at, reason=reason, remove=remove)
        return await self._database.write(end)

    # Messages

    async def append(self, drafts: Sequence[Draft]) -> list[Appended | GatewayError]:
        """Store and number a batch (up to 512) in one transaction; an answer to each, in order.

        Each stream counts 1, 2, 3 … without a hole, however many gateways append. An answer may be
        an error, which concerns that draft alone: IdReused, UnknownRoom, RoomClosed, HistoryFull,
        NotOpen, Invalid, and those of ``key_bounds``.

        After :class:`StoreUnavailable` the batch may have been stored all the same, if the
        connection broke during the commit; then it is in :meth:`unpublished_in`, and the same ids
        give the same answer.
        """
        return await self._database.write(
            partial(
                history.append,
                drafts=drafts,
                owner=self.gateway,
                quota=self.quota,
                bounds=self.key_bounds,
            )
        )

    async def stored(self, message_id: UUID) -> Appended | None:
        """The message with this id, whoever sent it, in the form of :meth:`append`'s answer to a
        repeated one."""
        return await self._database.read(partial(history.stored, message_id=message_id))

    async def read(
        self,
        stream: Stream,
        *,
        after: int,
        limit: int,
        sender: str | None = None,
        types: Collection[str] | None = None,
        size: int = READ_BYTES,
    ) -> Page:
        """Messages with ``seq > after``: at most ``limit`` (1 or more) of them and about ``size``
        bytes, a megabyte at most; only those of ``sender`` and of certain ``types`` where given.
        Raises UnknownRoom."""
        query = partial(
            history.read,
            stream=stream,
            after=after,
            limit=limit,
            sender=sender,
            types=types,
            size=min(size, READ_BYTES),
        )
        return await self._database.scan(query, history.page)

    async def read_json(
        self,
        stream: Stream,
        *,
        after: int,
        limit: int,
        sender: str | None = None,
        types: Collection[str] | None = None,
        veiled: bool = False,
    ) -> JsonPage:
        """As :meth:`read`, with the JSON of each message, which is made off the event loop.
        ``veiled``: as others than hosts see them; of certain types, those that are not hidden."""
        query = partial(
            history.read,
            stream=stream,
            after=after,
            limit=limit,
            sender=sender,
            types=types,
            veiled=veiled,
        )
        make = history.veiled_json_page if veiled else history.json_page
        return await self._database.scan(query, make)

    async def read_into(
        self,
        stream: Stream,
        make: Callable[[Page], T],
        *,
        after: int,
        limit: int,
        types: Collection[str] | None = None,
        size: int = READ_BYTES,
    ) -> T:
        """As :meth:`read`, given to ``make`` off the event loop; its result is returned."""
        query = partial(
            history.read,
            stream=stream,
            after=after,
            limit=limit,
            sender=None,
            types=types,
            size=min(size, READ_BYTES),
        )
        return await self._database.scan(query, lambda found: make(history.parsed(found)))

    async def read_state(  # noqa: PLR0913 - what is wanted of the state
        self,
        stream: Stream,
        *,
        after: int = 0,
        limit: int,
        author: str | None = None,
        until: int | None = None,
        goes_on: bool = False,
        veiled: bool = False,
        size: int = READ_BYTES,
    ) -> StatePage:
        """The entries of the stream's kept state that were written after the seq ``after``, in the
        order of seq: at most ``limit`` of them, and about ``size`` bytes, a megabyte at most; only
        those of ``author`` where given. ``until``: those that stand and were not written after that
        seq either. ``goes_on``: this is a further page for a reader that has begun from nothing
        just now, so it misses nothing that was cleared and forgotten. ``veiled``: without those
        that hosts have hidden. No reader of the history keeps it waiting. Raises UnknownRoom."""
        query = partial(
            kept.read,
            stream=stream,
            after=after,
            limit=limit,
            author=author,
            until=until,
            goes_on=goes_on,
            veiled=veiled,
            size=min(size, READ_BYTES),
        )
        return await self._database.scan(query, history.state_page, readers=Readers.STATE)

    async def read_waiting(
        self, room: int, *, after: int, limit: int, sender: str | None = None
    ) -> list[Message]:
        """At most ``limit`` messages that wait for approval in a room, after the seq ``after``, in
        order, with their JSON; only those of ``sender`` where given."""
        query = partial(approvals.read_waiting, room=room, after=after, limit=limit, sender=sender)
        return await self._database.scan(query, _with_json)

    async def waited_at(self, room: int, seqs: Collection[int]) -> dict[int, Waited]:
        """The messages that had to wait for approval at these places of a room (up to 512)."""
        return await self._database.read(partial(approvals.waited_at, room=room, seqs=seqs))

    async def heads(self, streams: Sequence[Stream]) -> dict[Stream, int]:
        """The last seq of each stream (up to 512; 0: none yet), by one query; a stream of a room
        that does not exist is left out."""
        return await self._database.read(partial(history.heads, wanted=streams))

    async def prune(self, before: datetime) -> int:
        """Delete the start of each stream, up to the first message that is younger or unpublished.

        Returns how many messages were deleted. Their numbers are never given again.
        """
        return await retention.prune(self._database, before)

    async def prune_rooms(self, now: datetime) -> int:
        """As :meth:`prune`, of each room with an age of its own (:meth:`keep_room`)."""
        return await retention.prune_rooms(self._database, now)

    async def forget_keys(
        self, before: datetime, *, spared: datetime, most: int = kept.CLEARED_KEPT
    ) -> int:
        """Delete entries of the kept state that were cleared before then, and the oldest beyond
        ``most`` of a stream; those cleared after ``spared`` stay in any case. Returns how many."""
        return await retention.forget_keys(self._database, before, spared=spared, most=most)

    async def forget_decided(self, before: datetime) -> int:
        """Delete what had to wait for approval, was said before then, and was decided about. What
        was approved is in the stream. Returns how many."""
        return await retention.forget_decided(self._database, before)

    async def hear(self, heard: Callable[[], None]) -> None:
        """Call ``heard`` when an application may have stored a message, which :meth:`take_over`
        gives then. Returns when the connection for that is lost; on SQLite, and behind a pooler,
        nothing is heard, and it never returns."""
        await self._database.hear(heard)

    async def unpublished_streams(self) -> list[Stream]:
        """The streams that have entries of this gateway in the outbox."""
        return await self._database.read(partial(outbox.unpublished_streams, owner=self.gateway))

    async def unpublished_in(self, stream: Stream, *, after: int, limit: int) -> Unpublished:
        """This gateway's entries in the outbox with ``seq > after``, in order: up to ``limit``
        messages and about a megabyte."""
        return await self._database.read(
            partial(
                outbox.unpublished_in, stream=stream, owner=self.gateway, after=after, limit=limit
            )
        )

    async def is_published(self, message_id: UUID) -> bool:
        """Whether a stored message has left the outbox, whichever gateway owned it."""
        return await self._database.read(partial(outbox.is_published, message_id=message_id))

    async def traced(self, ids: Sequence[UUID]) -> list[TracedMessage]:
        """Those of the messages (a few) that are in the history, without their bodies."""
        return await self._database.read(partial(traces.by_ids, ids=ids))

    async def traced_at(self, stream: Stream, seq: int) -> list[TracedMessage]:
        """The message at this place, if there is one, without its body."""
        return await self._database.read(partial(traces.at, stream=stream, seq=seq))

    async def outbox_size(self) -> OutboxSize:
        """The messages that all gateways together have in the outbox."""
        return await self._database.read(outbox.size)

    async def mark_published(self, ids: Sequence[UUID]) -> None:
        """Remove confirmed messages from the outbox; unknown ids are ignored."""
        await self._database.write(partial(outbox.mark_published, ids=ids))

    # Attendance

    async def note_stays(self, stays: Sequence[Stay]) -> None:
        """Store new stays of this gateway (up to 100), and the changes of stored ones."""
        await self._database.write(partial(attendance.note, stays=stays, gateway=self.gateway))

    async def see_stays(self, at: datetime) -> None:
        """Note that the stays of this gateway that have no end last."""
        await self._database.write(partial(attendance.see, at=at, gateway=self.gateway))

    async def stays(
        self, room: int, *, after: tuple[str, datetime] | None = None, limit: int
    ) -> list[Stay]:
        """Stays in the room, by user, then by their beginning; ``after``: the user and the
        beginning of the last one that is known."""
        query = partial(attendance.page, room=room, after=after, limit=limit)
        return await self._database.scan(query, attendance.stays)

    async def forget_stays(self, before: datetime) -> int:
        """Delete the stays that were last seen before then. Returns how many."""
        deleted = 0
        while portion := await self._database.write(partial(attendance.forget, before=before)):
            deleted += portion
            await asyncio.sleep(retention.REST)
        return deleted

    # Erasures

    async def order_erasure(
        self, *, room: int | None, user: str | None, by: str, reason: str, at: datetime
    ) -> Erasure:
        """Note the order to delete a room, which closes it, or what a user has left in a room or
        (no room) everywhere. Raises UnknownRoom, Invalid."""
        order = partial(erasures.order, room=room, user=user, by=by, reason=reason, at=at)
        return await self._database.write(order)

    async def carry_out_erasure(self, erasure: Erasure) -> Erasure:
        """Delete what was ordered, in small transactions between which posts go on. Carrying it
        out again, or at two gateways at once, does no harm. Returns the entry as it is then."""
        if erasure.user is None:
            room = erasure.room or 0
            await self._erase(partial(erasures.of_room, id=erasure.id, room=room))
            touched = 1
        else:
            touched = await self._erase_user(erasure, erasure.user)
            if erasure.room is None:
                await self._erase(partial(journal.erase, user=erasure.user))
        at = datetime.now(UTC)
        await self._database.write(partial(erasures.done, id=erasure.id, at=at, rooms_=touched))
        return await self.erasure(erasure.id) or erasure

    async def _erase_user(self, erasure: Erasure, user: str) -> int:
        touched, room = 0, erasure.room
        if room is None:
            room = await self._next_room(user, 0)
        while room is not None:
            portion = partial(erasures.of_user, id=erasure.id, room=room, user=user)
            touched += await self._erase(portion)
            room = None if erasure.room is not None else await self._next_room(user, room)
        return touched

    async def _erase(self, portion: Callable[[Connection], int]) -> bool:
        """Delete portion after portion, with a rest after each, in which posts have the writer.
        Returns whether there was anything."""
        is_touched = False
        while await self._database.write(portion):
            is_touched = True
            await asyncio.sleep(retention.REST)
        return is_touched

    async def _next_room(self, user: str, after: int) -> int | None:
        # As a scan, because it looks at every stream.
        query = partial(erasures.next_room, user=user, after=after)
        return await self._database.scan(query, lambda found: found)

    async def erasure(self, id: int) -> Erasure | None:
        """An entry of the record of erasures."""
        return await self._database.read(partial(erasures.get, id=id))

    async def erasures(self) -> list[Erasure]:
        """The newest entries of the record of erasures, the last one first."""
        return await self._database.read(erasures.listing)

    async def erasures_since(self, revision: int) -> tuple[int, list[Erasure]]:
        """The last revision, and the entries that have changed after ``revision`` or go on."""
        return await self._database.read(partial(erasures.since, revision=revision))

    async def with_deleted(self, rooms: Sequence[int]) -> list[int]:
        """Those of the rooms in which messages were deleted by request, now or earlier."""
        return await self._database.read(partial(erasures.with_deleted, rooms=rooms))

    # Private queues

    async def private_queue(self, room: int) -> QueueRecord | None:
        """The queue that the room should have. None: there is no such room."""
        return await self._database.read(partial(private_queues.get, number=room))

    async def renew_private_queue(self, room: int) -> int:
        """Give the room's next private queue its number, which is higher than any before.

        Raises UnknownRoom.
        """
        return await self._database.write(partial(private_queues.renew, number=room))

    async def queues_due(self, limit: int) -> dict[int, QueueDue]:
        """By room: the work that is due on its private queue; some of them if there are more than
        ``limit``."""
        return await self._database.read(partial(private_queues.due, limit=limit))

    async def set_queue_due(self, room: int, work: QueueDue | None) -> None:
        """Note the work that is due on a private queue; None: it is done."""
        await self._database.write(partial(private_queues.set_due, number=room, work=work))

    async def private_queue_numbers(self, numbers: Sequence[int]) -> dict[int, int]:
        """By room: the number of the private queue that it has now, or that is being made."""
        return await self._database.read(partial(private_queues.numbers, asked=numbers))

    async def acknowledged(self, streams: Sequence[Stream]) -> dict[Stream, int]:
        """By stream: the seq up to which hosts have acknowledged everything; 0: nothing yet."""
        return await self._database.read(partial(private_queues.acknowledged_in, streams=streams))

    async def acknowledge(self, seqs: Mapping[Stream, int]) -> None:
        """Raise the numbers of :meth:`acknowledged`, at most up to each stream's head.

        Lower numbers, and streams that do not exist, are ignored.
        """
        await self._database.write(partial(private_queues.acknowledge, seqs=seqs))

    async def unpublished_seqs(self, stream: Stream) -> dict[int, bool]:
        """The seqs of the stream that are in the outbox, and whether each is this gateway's."""
        return await self._database.read(
            partial(outbox.unpublished_seqs, stream=stream, owner=self.gateway)
        )

    # Leases of the gateways, by the database's clock

    async def renew_lease(self, seconds: float) -> bool:
        """Renew this gateway's lease for so many seconds. False: it had none, or it had ended.

        Without a lease, others may have taken over this gateway's entries in the outbox.
        """
        lived = await self._database.write(
            partial(leases.renew, gateway=self.gateway, seconds=seconds)
        )
        # Every gateway comes here every two seconds, so this is where a recovery is noticed and
        # logged. The lease is renewed in any case.
        with suppress(StoreUnavailable):
            await self._database.recover()
        return lived

    async def end_lease(self) -> None:
        """End this gateway's lease, so that others take over its entries in the outbox at once."""
        await self._database.write(partial(leases.end, gateway=self.gateway))

    async def meet(self, name: str, *, hears: bool, clock: UnixTime) -> Meeting:
        """Write this gateway's name on the bus and whether it hears itself there beside its lease;
        read what the others have written. ``clock`` is compared with the database's."""
        return await self._database.write(
            partial(neighbours.meet, gateway=self.gateway, name=name, hears=hears, clock=clock)
        )

    async def release(self, *, limit: int) -> int:
        """Leave this gateway's outbox entries to the others, at most ``limit`` messages, and tell
        them. Returns how many there were."""
        return await self._database.write(partial(outbox.release, owner=self.gateway, limit=limit))

    async def take_over(self, *, limit: int) -> list[Stream]:
        """Own the outbox entries of gateways without a lease, at most ``limit`` messages.

        Returns the stream of each of them.
        """
        return await self._database.write(
            partial(outbox.take_over, owner=self.gateway, limit=limit)
        )

    # Accounts

    async def account(self, user: str) -> Account | None:
        return await self._database.read(partial(accounts.get, user=user))

    async def has_account(self, user: str) -> bool:
        """Whether somebody can log in with a password under this name."""
        return await self.account(user) is not None

    async def known_accounts(self, users: Sequence[str]) -> set[str]:
        """Those of the users who can log in with a password. There may be thousands, so that
        memberships are read by other threads."""
        return await self._database.scan(partial(accounts.known, users=users), set)

    async def put_account(self, account: Account) -> None:
        """Create the account, or replace its password hash and roles, which ends its sessions.

        Raises Invalid.
        """

        def put(connection: Connection) -> None:
            accounts.put(connection, account)
            rooms.name_members(connection, account.user, account.display_name)
            sessions.end_of_account(connection, account.user, datetime.now(UTC))

        await self._database.write(put)

    async def add_accounts(self, new: Sequence[Account], *, replace: bool) -> list[str]:
        """Create those of the accounts that are not there yet, in one transaction; ``replace``: and
        replace the others, which ends their sessions. Returns the users whose accounts are stored
        so. Raises Invalid."""

        def add(connection: Connection) -> list[str]:
            stored = accounts.add(connection, new, replace=replace)
            for each in stored:
                if each.display_name is not None:
                    rooms.name_members(connection, each.user, each.display_name)
                sessions.end_of_account(connection, each.user, datetime.now(UTC))
            return [each.user for each in stored]

        return await self._database.write(add)

    async def change_password(self, account: Account, password_hash: str) -> bool:
        """Replace the password's hash, which ends the account's sessions. False: the account has
        changed meanwhile."""

        def change(connection: Connection) -> bool:
            if not accounts.rehash(connection, account, password_hash):
                return False
            sessions.end_of_account(connection, account.user, datetime.now(UTC))
            return True

        return await self._database.write(change)

    async def account_page(self, *, search: str, after: str | None, size: int) -> AccountPage:
        """A page of accounts, by user."""
        return await self._database.read(
            partial(
                account_pages.page, search=search, after=after, size=size, now=datetime.now(UTC)
            )
        )

    async def show_account_as(self, user: str, display_name: str | None) -> bool:
        """Replace what is shown beside the user's name, which ends no session. False: there is no
        such account."""
        return await self._database.write(
            partial(accounts.show_as, user=user, display_name=display_name)
        )

    async def names_out_of_form(self) -> list[StandingName]:
        """The user names that stand somewhere and are not in their form."""
        return await self._database.read(user_names.standing)

    async def give_name(self, old: str, new: str) -> int:
        """Give everything that stands under one user's name to another, and end the logins under
        it. Returns the number of rows. Raises Invalid."""
        return await self._database.write(
            partial(user_names.give, old=old, new=new, at=datetime.now(UTC))
        )

    async def rehash_account(self, account: Account, password_hash: str) -> Account | None:
        """Replace the hash of the same password, which ends no session. None: the account has
        changed meanwhile."""
        if await self._database.write(
            partial(accounts.rehash, account=account, password_hash=password_hash)
        ):
            return replace(account, password_hash=password_hash)
        return None

    async def remove_account(self, user: str) -> bool:
        """Remove the account and end its sessions. False: there was none."""

        def remove(connection: Connection) -> bool:
            if not accounts.remove(connection, user):
                return False
            sessions.end_of_account(connection, user, datetime.now(UTC))
            return True

        return await self._database.write(remove)

    async def accounts(self) -> list[Account]:
        """All accounts, by user."""
        return await self._database.read(accounts.listing)

    # Sessions

    async def add_session(
        self,
        session: LoginSession,
        account: Account | None = None,
        *,
        most: int | None = None,
        refusal: sessions.SessionRefusal | None = None,
    ) -> bool:
        """Store a login; beyond ``most`` of the user's, the longest unused ones end. False, and
        nothing is stored: the account whose password was checked has changed or gone meanwhile.

        ``refusal`` is given the entries of the revocation list that name the user or the token, and
        returns the error for the session, which is raised. It runs in a thread of the database.
        Raises Invalid.
        """

        def add(connection: Connection) -> bool:
            if account is not None and not accounts.is_still(connection, account):
                return False
            sessions.add(connection, session, most=most, refusal=refusal)
            return True

        return await self._database.write(add)

    async def end_session(self, session: LoginSession) -> EndedSession:
        """End the session, if that has not been done before."""
        return await self._database.write(
            partial(sessions.end, session=session, at=datetime.now(UTC))
        )

    async def end_own_sessions(
        self, user: str, proof: Proof, *, only: str | None = None, but: str | None = None
    ) -> list[EndedSession]:
        """End those of the user's sessions that go on: the ``only`` one, or all ``but`` one."""
        which = partial(sessions.end_own, user=user, proof=proof, only=only, but=but)
        return await self._database.write(partial(which, at=datetime.now(UTC)))

    async def session(self, id: str) -> LoginSession | None:
        """The session, unless it has ended before its time. None: there is none."""
        return await self._database.read(partial(sessions.get, id=id))

    async def sessions_of(
        self, user: str, proof: Proof | None = None, *, most: int = 1000
    ) -> list[LoginSession]:
        """The user's sessions that go on, the last seen first."""
        found = partial(sessions.of_user, user=user, proof=proof, most=most)
        return await self._database.read(partial(found, now=datetime.now(UTC)))

    async def saw_sessions(self, seen: Mapping[str, datetime]) -> None:
        """Note when sessions (up to 512) were seen last; an earlier time is ignored."""
        if seen:
            await self._database.write(partial(sessions.saw, seen=seen))

    async def revoke(self, revocation: Revocation) -> Endings:
        """Put an entry on the revocation list, and end the sessions that it names. Returns both.

        Raises Invalid, and RevocationsFull.
        """
        return await self._database.write(partial(sessions.revoke, revocation=revocation))

    async def admit(self, target: Target, value: str) -> bool:
        """Let somebody in again who is kept out. False: nobody of that name was."""
        return await self._database.write(partial(sessions.admit, target=target, value=value))

    async def revocations(self) -> list[Revocation]:
        """The newest entries of the revocation list that count, the last one first."""
        return await self._database.read(partial(revocations.listing, now=datetime.now(UTC)))

    async def sessions_ended_since(self, revision: int) -> Endings:
        """The sessions that ended after this revision and would otherwise still go on."""
        return await self._database.read(
            partial(sessions.ended_since, revision=revision, now=datetime.now(UTC))
        )

    async def forget_sessions(self, before: datetime) -> int:
        """Delete the sessions, and the entries of the revocation list, whose time was over before
        then. Returns how many."""
        deleted = 0
        while True:
            portion = await self._database.write(partial(sessions.forget, before=before))
            deleted += portion
            if portion < sessions.PORTION:
                return deleted


def _database(
    url: str, *, timeout: float, connections: int, posting: PostLimits | None
) -> Database:
    try:
        where = parse(url)
    except ValueError as error:
        raise StoreUnavailable(f"store.url {error}") from None
    if isinstance(where, SqliteFile):
        return SqliteDatabase(where.path, timeout=timeout)
    try:
        # asyncpg is an extra: an installation on SQLite does not need it.
        from gateway.store.postgresql import PostgresDatabase  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise StoreUnavailable(
            f"PostgreSQL needs {error.name}: pip install 'interact-gateway[postgres]'"
        ) from error
    return PostgresDatabase(where, timeout=timeout, connections=connections, posting=posting)


def _with_json(found: list[Message]) -> list[Message]:
    return [each.keep_encoded(each.encode()) for each in found]
