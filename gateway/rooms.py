"""The life of rooms, where the store, the broker and the live connections must agree."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Protocol

from broker.publishing.provision import QueueFailed
from gateway.domain.room import Member, MemberRole, Membership, Room
from gateway.errors import (
    BrokerUnavailable,
    Invalid,
    RoomClosed,
    UnknownMember,
    UnknownRoom,
)

#: Seconds after which to try again a broker that is away.
_RETRY_AFTER: Final = 2.0
#: How often another number is tried if a queue of that number exists; each step goes twice as far,
#: so that a dozen steps pass the thousands of rooms of a lost database.
_STEPS: Final = 40

logger = logging.getLogger(__name__)


class RoomStore(Protocol):
    """The store of rooms and members."""

    async def create_room(
        self, title: str, members: Mapping[str, MemberRole], at: datetime, *, lowest: int | None
    ) -> Room: ...

    async def discard_room(self, room: int) -> None: ...

    async def room(self, room: int) -> Room | None: ...

    async def membership(self, room: int, user: str) -> Membership | None: ...

    async def members(self, room: int) -> list[Member]: ...

    async def close_room(self, room: int, at: datetime) -> bool: ...

    async def set_member(self, room: int, user: str, role: MemberRole) -> None: ...

    async def remove_member(self, room: int, user: str) -> bool: ...


class PrivateQueues(Protocol):
    """The private queues of rooms. All methods raise
    :class:`broker.publishing.provision.QueueFailed`."""

    async def has_private_queue(self, room: int) -> bool:
        """Whether a queue of this name exists, whoever declared it."""

    async def declare_private_queue(self, room: int) -> None: ...

    async def delete_private_queue(self, room: int) -> None: ...


class Changes(Protocol):
    """The revocation of memberships."""

    async def changed(self, room: int, user: str | None = None, *, ended: bool) -> None:
        """A user's membership, or the room itself, has changed in the store. ``ended``: live
        subscriptions may have to end, on all gateways."""


class Rooms:
    """Creating, showing and closing of rooms, and changes of their members.

    ``clock`` gives the time of day in UTC. Every method raises :class:`StoreUnavailable`.
    """

    def __init__(
        self,
        *,
        store: RoomStore,
        queues: PrivateQueues,
        changes: Changes,
        max_members: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._queues = queues
        self._changes = changes
        self.max_members = max_members
        self._clock = clock

    async def create(self, title: str, members: Mapping[str, MemberRole]) -> Room:
        """Create a room whose private queue exists.

        Raises :class:`BrokerUnavailable`, and then there is no room; :class:`LastHost`.
        """
        if len(members) > self.max_members:
            raise Invalid(f"members: a room may have at most {self.max_members}")
        lowest = None
        for step in range(_STEPS):
            room = await self._store.create_room(title, members, self._clock(), lowest=lowest)
            try:
                if not await self._is_taken(room.id):
                    await self.ensure_private_queue(room.id)
                    return room
            except BrokerUnavailable:
                await self._store.discard_room(room.id)
                raise
            await self._store.discard_room(room.id)
            lowest = room.id + 2**step
        raise BrokerUnavailable(
            "RabbitMQ already has a private queue for every number that was tried for the new room",
            retry_after=_RETRY_AFTER,
        )

    async def _is_taken(self, number: int) -> bool:
        """Whether there is a queue left by another room of this number, from a database that was
        lost or was newer than now. Its messages were meant for other people: they are neither
        handed to the new room's host nor thrown away.
        """
        try:
            taken = await self._queues.has_private_queue(number)
        except QueueFailed as error:
            raise BrokerUnavailable(
                f"RabbitMQ could not be asked whether room {number} has a queue",
                retry_after=_RETRY_AFTER,
            ) from error
        if taken:
            logger.warning(
                "room number %d is skipped: RabbitMQ has a private queue of that number, which"
                " this database does not know; is the database new, or an older backup?",
                number,
            )
        return taken

    async def ensure_private_queue(self, number: int) -> None:
        """Declare the queue again unless it exists. Raises :class:`BrokerUnavailable`."""
        try:
            await self._queues.declare_private_queue(number)
        except QueueFailed as error:
            raise BrokerUnavailable(
                f"the private queue of room {number} could not be declared",
                retry_after=_RETRY_AFTER,
            ) from error

    async def show(self, number: int, user: str) -> tuple[Room, MemberRole | None]:
        """The room and the user's role in it. Raises :class:`UnknownRoom`."""
        room = await self._store.room(number)
        membership = await self._store.membership(number, user)
        if room is None or membership is None:
            raise UnknownRoom(f"there is no room {number}")
        return room, membership.role

    async def close(self, number: int) -> None:
        """Close the room: it takes no more messages, its subscriptions end, its queue is deleted;
        the history stays.

        Closing it again is no error, and tries the deletion again. Raises
        :class:`BrokerUnavailable` when the room is closed but its queue still exists (it will
        expire by itself).
        """
        await self._store.close_room(number, self._clock())
        await self._changes.changed(number, ended=True)
        try:
            await self._queues.delete_private_queue(number)
        except QueueFailed as error:
            raise BrokerUnavailable(
                f"room {number} is closed, but its queue is not deleted yet",
                retry_after=_RETRY_AFTER,
            ) from error

    async def set_member(self, number: int, member: Member) -> None:
        """Add a member or change the role; a former host loses the host's subscriptions.

        Raises :class:`UnknownRoom`, :class:`RoomClosed`, :class:`LastHost`, :class:`Invalid`.
        """
        before = await self._membership(number, member.user)
        if before.role is None and len(await self._store.members(number)) >= self.max_members:
            raise Invalid(f"a room may have at most {self.max_members} members")
        await self._store.set_member(number, member.user, member.role)
        demoted = before.role is MemberRole.HOST and member.role is not MemberRole.HOST
        await self._changes.changed(number, member.user, ended=demoted)

    async def remove_member(self, number: int, user: str) -> None:
        """End a membership and its live subscriptions.

        Raises :class:`UnknownRoom`, :class:`UnknownMember`, :class:`LastHost`.
        """
        if not await self._store.remove_member(number, user):
            raise UnknownMember(f"{user} is not a member of room {number}")
        await self._changes.changed(number, user, ended=True)

    async def _membership(self, number: int, user: str) -> Membership:
        membership = await self._store.membership(number, user)
        if membership is None:
            raise UnknownRoom(f"there is no room {number}")
        if not membership.is_open:
            raise RoomClosed(f"room {number} is closed")
        return membership
