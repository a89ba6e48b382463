"""Rooms and their members, for those who may see or change them.

The store, the broker and the live connections must agree about a room; here they are brought to.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Protocol

from broker.timing.readings import UtcTime
from broker.topology import Audience, Stream
from gateway.auth.permissions import Action, Permissions
from gateway.budget.budgets import Budgets
from gateway.budget.table import MEMBER_CHANGES, OPEN_ROOMS, ROOM_MEMBERS, ROOMS
from gateway.domain.guest import is_guest
from gateway.domain.identity import Identity
from gateway.domain.journal import MEMBER_REMOVED, ROOM_CLOSED, Entry, EntryKind
from gateway.domain.room import Attendee, Member, MemberRole, Room
from gateway.domain.session import Proof
from gateway.domain.user_name import spellings
from gateway.errors import GatewayError, NoCapacity, UnknownMember, UnknownRoom
from gateway.fair_turns import FairTurns
from gateway.observe.journal import Journal
from gateway.private_queues import PrivateQueues

#: Rooms that are created at the same time. The store creates one after the other anyway: those that
#: wait for it there would keep the connections to the database that posts need.
CREATED_AT_ONCE: Final = 2
#: The reason for which the sessions of a room's guests end with it.
CLOSED: Final = "the room was closed"
#: Seconds that a creation may wait for its turn.
LONGEST_WAIT: Final = 10.0


class RoomStore(Protocol):
    """The store of rooms and members."""

    async def create_room(
        self,
        title: str,
        members: Mapping[str, MemberRole],
        at: datetime,
        *,
        creator: str,
        names: Mapping[str, str],
        refusal: Callable[[int, int], GatewayError | None],
    ) -> Room: ...

    async def copy_room(
        self,
        room: int,
        *,
        title: str | None,
        creator: str,
        name: str | None,
        at: datetime,
        refusal: Callable[[int, int], GatewayError | None],
    ) -> Room: ...

    async def rooms_of(self, user: str) -> list[tuple[Room, MemberRole]]: ...

    async def room(self, room: int) -> Room | None: ...

    async def members(self, room: int) -> list[Member]: ...

    async def hosts(self, room: int) -> list[str]: ...

    async def close_room(self, room: int, at: datetime) -> bool: ...

    async def reopen_room(
        self, room: int, *, refusal: Callable[[int, int], GatewayError | None]
    ) -> bool: ...

    async def rename_room(self, room: int, title: str) -> None: ...

    async def keep_room(self, room: int, days: int | None) -> None: ...

    async def set_member(
        self,
        room: int,
        user: str,
        role: MemberRole,
        name: str | None,
        *,
        one_more: Callable[[int], GatewayError | None],
    ) -> MemberRole | None: ...

    async def has_account(self, user: str) -> bool: ...

    async def remove_member(self, room: int, user: str) -> bool: ...


class Changes(Protocol):
    """The revocation of memberships."""

    async def changed(self, room: int, user: str | None = None, *, ended: bool) -> None:
        """A user's membership, or the room itself, has changed in the store. ``ended``: live
        subscriptions may have to end, on all gateways."""


class GuestEndings(Protocol):
    """The revocation of guests' sessions."""

    async def end_guests(self, room: int, reason: str, *, remove: bool) -> int:
        """End the sessions of all guests of the room."""

    async def end_own(self, user: str, proof: Proof) -> int:
        """End the sessions of one user by one proof."""


class Attendances(Protocol):
    """The presence of members in rooms."""

    async def of(self, room: int) -> list[Attendee]:
        """The members who are in the room now."""


@dataclass(frozen=True, slots=True)
class RoomView:
    """A room as one user sees it. ``role``: the user's own; None for an admin who is no member.

    ``has_queue``: the private queue of a new room exists already.
    """

    room: Room
    role: MemberRole | None
    hosts: Sequence[str] = ()
    has_queue: bool = True


class Rooms:
    """The service for rooms and members. The first argument of every method is the caller.

    Every method checks the permissions before it reads or changes anything, so that no handler can
    forget to. ``filled`` is called with each stream that was given messages in the outbox. Whoever
    closes a room or removes a member stands in the ``journal``. Besides their own errors, all
    methods raise :class:`Refused`, :class:`UnknownRoom` and :class:`StoreUnavailable`.
    """

    def __init__(  # noqa: PLR0913 - the parts that must agree
        self,
        *,
        permissions: Permissions,
        store: RoomStore,
        queues: PrivateQueues,
        changes: Changes,
        presence: Attendances,
        endings: GuestEndings,
        filled: Callable[[Stream], None],
        budgets: Budgets,
        journal: Journal,
        clock: UtcTime,
    ) -> None:
        self._permissions = permissions
        self._store = store
        self._queues = queues
        self._changes = changes
        self._presence = presence
        self._endings = endings
        self._filled = filled
        self._members = budgets.cap(ROOM_MEMBERS)
        self._changes_of_rooms = budgets.rate(ROOMS)
        self._changes_of_members = budgets.rate(MEMBER_CHANGES)
        self._open_rooms = budgets.cap(OPEN_ROOMS)
        self._creations = FairTurns(CREATED_AT_ONCE, of_user=CREATED_AT_ONCE)
        self._journal = journal
        self._clock = clock

    async def mine(self, who: Identity) -> list[RoomView]:
        """The rooms of which ``who`` is a member."""
        await self._permissions.require(who, Action.LIST_ROOMS)
        return [RoomView(room, role) for room, role in await self._store.rooms_of(who.user)]

    async def create(
        self,
        who: Identity,
        title: str,
        members: Mapping[str, MemberRole],
        *,
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> RoomView:
        """A new room, with its private queue if that could be made in time; otherwise the queue
        follows. The creator hosts the room if ``members`` name no host. ``names``: what is shown
        beside the names of users of whom nothing is known yet.

        Raises :class:`RoomFull`, :class:`TooManyRooms`, :class:`TooManyOpenRooms`,
        :class:`RoomsFull`, and :class:`NoCapacity` while too many others create rooms.
        """
        await self._permissions.require(who, Action.CREATE_ROOM)
        self._changes_of_rooms.take(("create", who.user))
        if MemberRole.HOST not in members.values():
            members = {**members, who.user: MemberRole.HOST}
        if who.display_name is not None:
            names = {**names, who.user: who.display_name}
        self._members.check_counted(len(members) - 1)
        creating = self._store.create_room(
            title,
            members,
            self._clock(),
            creator=who.user,
            names=names,
            refusal=self._open_rooms.against,
        )
        room = await self._in_turn(creating, who.user)
        has_queue = await self._queues.create(room.id, who.user)
        return RoomView(room, members.get(who.user), has_queue=has_queue)

    async def copy(self, who: Identity, number: int, title: str | None) -> RoomView:
        """A new room with the members of this one, its order and what was prepared in it, but not
        its history; open or closed. ``title``: None takes the same.

        Raises the errors of :meth:`create`, and :class:`TooManyKeys`.
        """
        await self._permissions.require(who, Action.MANAGE_ROOM, number)
        await self._permissions.require(who, Action.CREATE_ROOM)
        self._changes_of_rooms.take(("create", who.user))
        self._members.check_counted(len(await self._store.members(number)) - 1)
        copying = self._store.copy_room(
            number,
            title=title,
            creator=who.user,
            name=who.display_name,
            at=self._clock(),
            refusal=self._open_rooms.against,
        )
        room = await self._in_turn(copying, who.user)
        has_queue = await self._queues.create(room.id, who.user)
        for audience in Audience:
            self._filled(Stream(audience, room.id))
        return RoomView(room, MemberRole.HOST, has_queue=has_queue)

    async def show(self, who: Identity, number: int) -> RoomView:
        """The room with its hosts: every page has to know whose messages control the room."""
        role = await self._permissions.require(who, Action.SEE_ROOM, number)
        room = await self._store.room(number)
        if room is None:
            raise UnknownRoom(f"there is no room {number}")
        return RoomView(room, role, await self._store.hosts(number))

    async def recognise(self, who: Identity, number: int, identity: str | None) -> None:
        """See :meth:`gateway.auth.permissions.Permissions.recognise`."""
        await self._permissions.recognise(who, number, identity)

    async def present(self, who: Identity, number: int) -> list[Attendee]:
        """The members who are in the room now."""
        await self._permissions.require(who, Action.SEE_ROOM, number)
        return await self._presence.of(number)

    async def close(self, who: Identity, number: int) -> bool:
        """Close the room: it takes no more messages, its subscriptions end, its queue is deleted;
        the history stays. Closing it again is no error.

        Returns whether the queue is deleted; otherwise that follows. Raises :class:`TooManyRooms`.
        """
        await self._permissions.require(who, Action.MANAGE_ROOM, number)
        self._changes_of_rooms.take(("close", who.user))
        if await self._store.close_room(number, self._clock()):
            self._note(who, ROOM_CLOSED, f"closed room {number}", room=number)
        await self._changes.changed(number, ended=True)
        # After everybody has heard that the room was closed, which is what guests are to be told.
        await self._endings.end_guests(number, CLOSED, remove=False)
        return await self._queues.delete(number)

    async def reopen(self, who: Identity, number: int) -> RoomView:
        """Open a closed room again, with its members, its history and a private queue that has what
        hosts had not acknowledged. Opening it again is no error.

        Raises :class:`TooManyRooms`, :class:`TooManyOpenRooms`, :class:`RoomsFull`.
        """
        await self._permissions.require(who, Action.MANAGE_ROOM, number)
        self._changes_of_rooms.take(("create", who.user))
        try:
            await self._store.reopen_room(number, refusal=self._open_rooms.against)
        except GatewayError as error:
            self._open_rooms.count(error)
            raise
        await self._changes.changed(number, ended=False)
        has_queue = await self._queues.create(number, who.user)
        return replace(await self.show(who, number), has_queue=has_queue)

    async def rename(self, who: Identity, number: int, title: str) -> None:
        """Give the room another title. Raises :class:`TooManyRooms`."""
        await self._permissions.require(who, Action.MANAGE_ROOM, number)
        self._changes_of_rooms.take(("rename", who.user))
        await self._store.rename_room(number, title)

    async def keep(self, who: Identity, number: int, days: int | None) -> None:
        """Keep the room's messages for so many days, if the configuration does not say less; None:
        as that says. Raises :class:`TooManyRooms`."""
        await self._permissions.require(who, Action.MANAGE_ROOM, number)
        self._changes_of_rooms.take(("keep", who.user))
        await self._store.keep_room(number, days)

    async def members(self, who: Identity, number: int) -> list[Member]:
        """All members, by name."""
        await self._permissions.require(who, Action.MANAGE_ROOM, number)
        return await self._store.members(number)

    async def set_member(self, who: Identity, number: int, member: Member) -> Member:
        """Add a member or change the role; a former host loses the hosts' subscriptions. Returns
        the member, and whether the user has an account.

        Raises :class:`RoomClosed`, :class:`LastHost`, :class:`RoomFull`, :class:`TooManyChanges`.
        """
        await self._permissions.require(who, Action.MANAGE_ROOM, number)
        self._changes_of_members.take(who.user)
        try:
            before = await self._store.set_member(
                number, member.user, member.role, member.name, one_more=self._members.against
            )
        except GatewayError as error:
            self._members.count(error)
            raise
        demoted = before is MemberRole.HOST and member.role is not MemberRole.HOST
        await self._changes.changed(number, member.user, ended=demoted)
        return replace(member, has_account=await self._store.has_account(member.user))

    async def remove_member(self, who: Identity, number: int, user: str) -> None:
        """End a membership and its live subscriptions.

        Raises :class:`UnknownMember`, :class:`LastHost`, :class:`TooManyChanges`.
        """
        await self._permissions.require(who, Action.MANAGE_ROOM, number)
        self._changes_of_members.take(who.user)
        # As it is first: so one that could not be brought into the names' form can be removed, too.
        for name in spellings(user):
            if await self._store.remove_member(number, name):
                what = f"removed {name} from room {number}"
                self._note(who, MEMBER_REMOVED, what, room=number, user=name)
                await self._changes.changed(number, name, ended=True)
                if is_guest(name):
                    await self._endings.end_own(name, Proof.GUEST)
                return
        raise UnknownMember(f"{user} is not a member of room {number}")

    def _note(
        self, who: Identity, code: str, what: str, *, room: int, user: str | None = None
    ) -> None:
        at, kind = self._clock().timestamp(), EntryKind.ACTION
        entry = Entry(at=at, kind=kind, code=code, detail=what, user=user, by=who.user, room=room)
        self._journal.add(entry)

    async def _in_turn(self, creating: Coroutine[Any, Any, Room], creator: str) -> Room:
        """The room that is created when its turn has come."""
        try:
            await self._creations.begin(creator, within=LONGEST_WAIT)
        except BaseException as error:
            creating.close()
            if not isinstance(error, TimeoutError):
                raise
            raise NoCapacity("too many rooms are being created", retry_after=5.0) from None
        try:
            return await creating
        except GatewayError as error:
            self._open_rooms.count(error)
            raise
        finally:
            self._creations.end(creator)
