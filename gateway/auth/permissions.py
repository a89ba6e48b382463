"""Permissions: the one place that decides, for HTTP, STOMP and the broker's questions."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Protocol

from broker.topology import Audience
from gateway.auth.access import AccessRules, Direction
from gateway.auth.patterns import Pattern
from gateway.domain.guest import is_guest, room_of
from gateway.domain.identity import ADMIN, HOST, OBSERVER, Identity
from gateway.domain.room import MemberRole, Membership
from gateway.errors import ChatOff, Muted, Refused, RoomClosed, RoomReplaced, UnknownRoom


class Action(StrEnum):
    """The actions that need a permission. Each completes the sentence "only hosts are allowed
    …"."""

    ADMINISTER = "to administer the gateway"
    OBSERVE = "to see the dashboard"
    CREATE_ROOM = "to create rooms"
    LIST_ROOMS = "to see a list of rooms"
    SEE_ROOM = "to see the room"
    MANAGE_ROOM = "to manage the room"
    EXPORT_ROOM = "to export the room"
    READ_PUBLIC = "to read the room's public messages"
    READ_PRIVATE = "to read the room's private messages"
    SUBSCRIBE_PUBLIC = "to follow the room's public topic"
    SUBSCRIBE_PRIVATE = "to follow the room's private topic"
    CONSUME_PRIVATE = "to consume the room's private queue"
    POST_PUBLIC = "to post to the room"
    POST_PRIVATE = "to post to the room's hosts"


#: The actions READ_…, SUBSCRIBE_… and POST_… by audience.
READ: Final = {Audience.PUBLIC: Action.READ_PUBLIC, Audience.PRIVATE: Action.READ_PRIVATE}
SUBSCRIBE: Final = {
    Audience.PUBLIC: Action.SUBSCRIBE_PUBLIC,
    Audience.PRIVATE: Action.SUBSCRIBE_PRIVATE,
}
POST: Final = {Audience.PUBLIC: Action.POST_PUBLIC, Audience.PRIVATE: Action.POST_PRIVATE}

#: The system roles, besides admin, that may act outside of rooms.
SYSTEM_ROLES: Final[dict[Action, frozenset[str]]] = {
    Action.ADMINISTER: frozenset(),
    Action.OBSERVE: frozenset({OBSERVER}),
    Action.CREATE_ROOM: frozenset({HOST}),
}
#: Actions outside of rooms that are open to everybody but guests.
NOT_FOR_GUESTS: Final = frozenset({Action.LIST_ROOMS})

#: The refusal of RabbitMQ's own users.
NO_ROOMS: Final = "rooms are not open to RabbitMQ's own users: connect with a token or a session"

_HOSTS: Final = frozenset({MemberRole.HOST})
_MEMBERS: Final = frozenset(MemberRole)

#: The members' roles that may act in a room.
MEMBER_ROLES: Final[dict[Action, frozenset[MemberRole]]] = {
    Action.SEE_ROOM: _MEMBERS,
    Action.MANAGE_ROOM: _HOSTS,
    Action.EXPORT_ROOM: _HOSTS,
    Action.READ_PUBLIC: _MEMBERS,
    Action.READ_PRIVATE: _HOSTS,
    Action.SUBSCRIBE_PUBLIC: _MEMBERS,
    Action.SUBSCRIBE_PRIVATE: _HOSTS,
    Action.CONSUME_PRIVATE: _HOSTS,
    Action.POST_PUBLIC: _MEMBERS,
    Action.POST_PRIVATE: _MEMBERS,
}

#: Actions that end when the room is closed; its history stays readable.
NEEDS_OPEN_ROOM: Final = frozenset(
    {
        Action.SUBSCRIBE_PUBLIC,
        Action.SUBSCRIBE_PRIVATE,
        Action.CONSUME_PRIVATE,
        Action.POST_PUBLIC,
        Action.POST_PRIVATE,
    }
)


#: Actions of participants that the room's order may forbid.
_SPEAKS: Final = frozenset(POST.values())


class MembershipLookup(Protocol):
    """The memberships, as the cache or the store has them."""

    async def membership(self, room: int, user: str) -> Membership | None: ...


class Permissions:
    """The decisions about actions. Admins may do everything, but a room must exist and be open for
    them too. RabbitMQ's own users are judged by RabbitMQ, and take no part in rooms."""

    def __init__(self, memberships: MembershipLookup, access: AccessRules) -> None:
        self._memberships = memberships
        self._access = access

    async def may(self, identity: Identity, action: Action, room: int | None = None) -> bool:
        """The decision of :meth:`require` as a bool; it still raises if the store is away."""
        try:
            await self.require(identity, action, room)
        except (Refused, UnknownRoom, RoomClosed):
            return False
        return True

    async def require(
        self, identity: Identity, action: Action, room: int | None = None
    ) -> MemberRole | None:
        """Return if the identity may do this. Actions of :data:`MEMBER_ROLES` need the room; the
        role in it is returned (None: an admin who is not a member).

        Raises :class:`UnknownRoom`, :class:`Refused` (also for somebody who is not a member,
        whether the room is closed or not), :class:`RoomClosed`, :class:`StoreUnavailable`.
        """
        if action in NOT_FOR_GUESTS:
            if is_guest(identity.user):
                raise Refused("a guest has one room and sees no others")
            return None
        if action in SYSTEM_ROLES:
            if not identity.roles & (SYSTEM_ROLES[action] | {ADMIN}):
                raise Refused(f"your account has no role that allows {action}")
            return None
        if room is None:
            raise ValueError(f"{action.name} needs a room")
        if identity.login is not None:
            # Somebody else may have the same name here.
            raise Refused(NO_ROOMS)
        membership = await self._memberships.membership(room, identity.user)
        return self.check(identity, action, room, membership)

    async def pace(self, identity: Identity, room: int) -> int:
        """The seconds that must pass between two messages of a participant to everyone; 0: none.
        Asked after :meth:`require`."""
        membership = await self._memberships.membership(room, identity.user)
        return 0 if membership is None else membership.slow

    async def approves(self, identity: Identity, room: int) -> bool:
        """Whether what a participant says to everyone waits for a host's approval. Asked after
        :meth:`require`."""
        membership = await self._memberships.membership(room, identity.user)
        return membership is not None and membership.approve

    async def recognise(self, identity: Identity, room: int, known: str | None) -> None:
        """Return if the room is the one that a client knows by this identity of the room's; None:
        the client does not say. Of somebody who may not see the room nothing is said.

        Raises :class:`RoomReplaced`, :class:`StoreUnavailable`.
        """
        if known is None:
            return
        membership = await self._memberships.membership(room, identity.user)
        sees = membership is not None and (membership.role is not None or identity.has(ADMIN))
        if membership is not None and sees and membership.identity != known:
            raise RoomReplaced(f"room {room} is another one now; load it again")

    def check(
        self, identity: Identity, action: Action, room: int, membership: Membership | None
    ) -> MemberRole | None:
        """As :meth:`require`, by a membership of the room that is known already."""
        if membership is None:
            raise UnknownRoom(f"there is no room {room}")
        # Whatever the tables say: a guest has shown the code of one room.
        if (home := room_of(identity.user)) is not None and home != room:
            raise Refused(f"you are a guest of another room than {room}")
        if not identity.has(ADMIN):
            if membership.role is None:
                raise Refused(f"you are not a member of room {room}")
            if membership.role not in MEMBER_ROLES[action]:
                raise Refused(f"you are not a host of room {room}: only hosts are allowed {action}")
        if action in NEEDS_OPEN_ROOM and not membership.is_open:
            raise RoomClosed(f"room {room} is closed; its history can still be read")
        if action in _SPEAKS and membership.role is MemberRole.PARTICIPANT:
            _keep_order(identity, action, room, membership)
        return membership.role

    def opens(self, identity: Identity, direction: Direction, destination: str) -> bool:
        """Whether an access rule opens a destination outside of rooms, in the user's virtual
        host."""
        return self._access.opens(identity.roles, direction, destination, vhost=identity.vhost)

    def shares(self, identity: Identity, requested: Pattern) -> bool:
        """Whether the hub may serve a destination that an access rule opens."""
        return self._access.shares(identity.roles, requested)

    def opens_everything(self, identity: Identity, direction: Direction) -> bool:
        """Whether ``**`` is open: frames are passed on unchanged, with any header."""
        return self._access.opens_everything(identity.roles, direction, vhost=identity.vhost)


def sees_hidden(identity: Identity, role: MemberRole | None) -> bool:
    """Whether somebody who may read a room's public messages sees those that hosts have hidden, by
    the role in it; None: an admin who is no member. Admins may do what hosts may, whatever their
    role."""
    return role is not MemberRole.PARTICIPANT or identity.has(ADMIN)


def _keep_order(identity: Identity, action: Action, room: int, membership: Membership) -> None:
    """Raises :class:`Muted`, :class:`ChatOff`."""
    if identity.has(ADMIN):
        return
    if membership.is_muted:
        raise Muted(f"a host of room {room} has muted you")
    if action is Action.POST_PUBLIC and not membership.chat:
        raise ChatOff(f"only hosts of room {room} speak to everyone now")
