"""Revocation of memberships: access ends on every gateway within a second after a membership (G7).

This is ensured twice. The gateway that changes a membership tells the others, and each asks the
database at once. Each gateway also polls the database for one number per room that grows with every
change, so nothing depends on a message.

While the database is away no membership changes, and live subscriptions go on. A gateway that alone
has lost the database believes the others' messages.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from broker.timing.tasks import Tasks
from gateway.auth.memberships import Memberships
from gateway.auth.permissions import Action, Permissions
from gateway.cluster.bus import Bus
from gateway.cluster.database_poll import DatabasePoll
from gateway.domain.message import Message
from gateway.domain.order import is_order
from gateway.domain.room import Membership, Roster
from gateway.errors import GatewayError, Refused, Removed, RoomClosed, StoreUnavailable, UnknownRoom
from gateway.live.attendance import Attendance, Follower

logger = logging.getLogger(__name__)

#: Rooms that one query asks about, and rosters that are read at once.
_BATCH: Final = 1024
_READS: Final = 4
#: Hints that are followed at once; beyond that the next poll finds the change.
_HINTS: Final = 32

_KIND: Final = "membership"


class Revisions(Protocol):
    """The store, which numbers the changes of memberships."""

    async def revisions(self, numbers: Sequence[int]) -> dict[int, int]:
        """By room: a number that grows with every change of its memberships and with its
        closing."""
        ...


class Revocation:
    """The end of subscriptions whose membership has ended or changed."""

    def __init__(
        self,
        store: Revisions,
        memberships: Memberships,
        permissions: Permissions,
        attendance: Attendance,
        bus: Bus,
        *,
        tasks: Tasks,
    ) -> None:
        self._store = store
        self._memberships = memberships
        self._permissions = permissions
        self._attendance = attendance
        self._bus = bus
        #: The revision by which all followers of the room were last judged.
        self._judged: dict[int, int] = {}
        self._reading = asyncio.Semaphore(_READS)
        self._failures = tasks.failures
        self._hints = tasks.part()
        self._polling = DatabasePoll(
            self._poll, "membership revocation", of="memberships", tasks=tasks
        )
        bus.on(_KIND, self._hinted)

    def start(self) -> None:
        self._polling.start()

    async def close(self) -> None:
        await self._hints.close()
        await self._polling.close()

    async def changed(self, room: int, user: str | None = None, *, ended: bool) -> None:
        """Apply a change of a user's membership, or (None) of the room itself, that is in the
        database: on this gateway everything that it no longer allows has ended when this returns.

        ``ended``: it allows less than before. Raises nothing.
        """
        self._memberships.invalidate(room)
        self._bus.tell(_KIND, {"room": room, "user": user, "ended": ended})
        await self._follow(room, user, ended=ended)

    def stored(self, messages: Sequence[Message]) -> None:
        """Have posts judged by the orders of hosts among these messages from now on; the other
        gateways look at the room again."""
        for message in messages:
            if message.keep is not None and is_order(message.stream.audience, message.keep):
                room = message.stream.room
                self._memberships.invalidate(room)
                self._bus.tell(_KIND, {"room": room, "user": None, "ended": False})

    def _hinted(self, gateway: str, payload: Mapping[str, Any]) -> None:
        room, user, ended = payload["room"], payload["user"], payload["ended"]
        logger.debug("gateway %s has changed room %d", gateway, room)
        self._memberships.invalidate(room)
        if len(self._hints) < _HINTS:
            self._hints.spawn(
                self._follow(room, user, ended=ended), "membership revocation: a hint"
            )

    async def _follow(self, room: int, user: str | None, *, ended: bool) -> None:
        if not ended or not self._attendance.of(room):
            return
        try:
            await self._judge(room)
        except StoreUnavailable:
            # The gateway that sent this has seen it in the database.
            for follower, _ in self._attendance.of(room):
                if user is None:
                    follower.end(RoomClosed(f"room {room} was closed"))
                elif follower.identity is not None and follower.identity.user == user:
                    follower.end(Removed(f"your membership of room {room} has changed"))

    async def _poll(self) -> None:
        rooms = self._attendance.rooms
        self._judged = {room: self._judged[room] for room in rooms if room in self._judged}
        for start in range(0, len(rooms), _BATCH):
            batch = rooms[start : start + _BATCH]
            asked_at = self._memberships.now
            revisions = await self._store.revisions(batch)
            changed = [room for room in batch if self._judged.get(room) != revisions.get(room, -1)]
            for room in changed:
                self._memberships.invalidate(room)
            for room, revision in revisions.items():
                self._memberships.confirm(room, revision, asked_at=asked_at)
            judged = (self._judge(room) for room in changed)
            for error in await asyncio.gather(*judged, return_exceptions=True):
                if isinstance(error, StoreUnavailable):
                    raise error
                if error is not None:
                    # The other rooms are judged all the same, and this one again at the next poll.
                    self._failures.note("membership revocation: a room", error)

    async def _judge(self, room: int) -> None:
        """End what the room's memberships do not allow. Later subscriptions are judged by a roster
        that is no older than this one: the cache was emptied before it was read."""
        async with self._reading:
            roster = await self._memberships.roster(room)
        all_judged = True
        for follower, action in self._attendance.of(room):
            try:
                self._judge_one(follower, action, room, roster)
            except Exception as error:
                # The others are judged all the same, and this one again at the next poll.
                self._failures.note("membership revocation: a follower", error)
                all_judged = False
        if all_judged and roster is not None and room in self._attendance.rooms:
            self._judged[room] = roster.revision

    def _judge_one(
        self, follower: Follower, action: Action, room: int, roster: Roster | None
    ) -> None:
        identity = follower.identity
        if identity is None:
            return
        membership = None if roster is None else roster.of(identity.user)
        try:
            self._permissions.check(identity, action, room, membership)
        except (Refused, RoomClosed, UnknownRoom) as error:
            follower.end(_error_for(error, room, membership))
            return
        if membership is not None and membership.role is not None:
            self._attendance.became(room, identity.user, membership.role)


def _error_for(error: GatewayError, room: int, membership: Membership | None) -> GatewayError:
    if isinstance(error, RoomClosed):
        return RoomClosed(f"room {room} was closed")
    if membership is not None and membership.role is not None:
        return Removed(f"you are no longer a host of room {room}")
    return Removed(f"your membership of room {room} has ended")
