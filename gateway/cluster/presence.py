"""Presence: the members who are in a room now, over all gateways. Each gateway counts its own, the
gateways tell each other, and one of them announces the changes in the room."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from broker.publishing.publication import ConfirmedPublisher, NotConfirmed
from broker.timing.readings import UnixTime
from broker.timing.tasks import Tasks
from broker.topology import Audience, Stream, Topology
from gateway.cluster.bus import Bus
from gateway.cluster.presence_table import Event, PresenceTable, message_id
from gateway.cluster.replica import Claim, Delta, Key, Origin, Part, Replica
from gateway.domain.message import PRESENCE, Message
from gateway.domain.room import Attendee, MemberRole, Roster
from gateway.live.attendance import Attendance
from gateway.messages.publication import publication

logger = logging.getLogger(__name__)

#: Seconds; changes within this time are announced together.
TICK: Final = 0.5
#: Seconds in which somebody who has left may come back unnoticed: a page that reloads, a connection
#: that breaks, a gateway that drains, which spreads its clients over most of this time.
GRACE: Final = 9.0
#: Seconds in which the users of a gateway that is gone may come back through another one.
HOLD: Final = 9.0
#: Seconds between two announcements of our position to the gateways that missed the last change.
_POSITION: Final = 3.0
#: Seconds between two requests for all claims of a gateway.
_ASK: Final = 1.0
#: Seconds after the start in which the claims of others are not announced as new.
_SETTLING: Final = 5.0
#: The most events in one message, and messages on their way at once.
_EVENTS: Final = 200
_MESSAGES: Final = 64
#: Seconds for one message to reach the broker.
_PUBLISH_WITHIN: Final = 2.0
#: A name that no user can have.
_NOBODY: Final = ""

_DELTA, _PART, _WANT = "presence", "presence part", "presence want"


class Rosters(Protocol):
    """The store, which knows the members of rooms."""

    async def roster(self, room: int) -> Roster | None:
        """The members of a room. None: there is no such room. Raises :class:`StoreUnavailable`."""
        ...


class Presence:
    """The presence in all rooms, as this gateway and the others claim it.

    ``announced``: changes are announced in the rooms, not only listed.
    """

    def __init__(  # noqa: PLR0913 - what it works with, each by its name
        self,
        attendance: Attendance,
        rosters: Rosters,
        bus: Bus,
        publisher: ConfirmedPublisher,
        topology: Topology,
        *,
        announced: bool,
        clock: UnixTime,
        tasks: Tasks,
    ) -> None:
        self._attendance = attendance
        self._rosters = rosters
        self._bus = bus
        self._publisher = publisher
        self._topology = topology
        self._announced = announced
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._origin = Origin()
        self._present = PresenceTable(bus.gateway)
        self._replicas: dict[str, Replica] = {}
        #: When to withdraw an own claim or another gateway's claims; when to announce our position
        #: again, and when to ask others for theirs.
        self._leaving: dict[Key, float] = {}
        self._gone: dict[str, float] = {}
        self._ask_at: dict[str, float] = {}
        self._position_at = 0.0
        self._learning = False
        self._tasks = tasks
        self._speaking = tasks.part()
        attendance.observe(self._noticed)
        bus.on(_DELTA, lambda who, json: self._replica(who).take(Delta.from_json(json)))
        bus.on(_PART, self._part)
        bus.on(_WANT, self._wanted)

    def start(self) -> None:
        self._tasks.forever(self._tick, "presence")

    async def close(self) -> None:
        await self._speaking.close()
        await self._tasks.close()

    async def of(self, room: int) -> list[Attendee]:
        """The members who are in the room now, by name. Raises :class:`StoreUnavailable`."""
        roster = await self._rosters.roster(room)
        if roster is None:
            return []
        roles, names = roster.roles, roster.names
        return [
            Attendee(user, roles[user], claim.since, names.get(user) or claim.name)
            for user, claim in sorted(self._present.of(room).items())
            if user in roles
        ]

    def _noticed(self, room: int, user: str, role: MemberRole | None) -> None:
        key = (room, user)
        if role is None:
            self._leaving[key] = self._loop.time() + GRACE
            return
        self._leaving.pop(key, None)
        before = self._origin.claims.get(key)
        if before is None or before.role is not role:
            since = before.since if before else self._clock()
            self._claim(key, Claim(since, role, self._attendance.name_of(room, user)))

    def _claim(self, key: Key, claim: Claim | None) -> None:
        self._origin.put(key, claim)
        self._present.put(self._bus.gateway, key, claim)

    # Messages of the other gateways

    def _replica(self, gateway: str) -> Replica:
        if gateway not in self._replicas:
            self._replicas[gateway] = Replica(
                lambda key, claim: self._present.put(gateway, key, claim, said=self._learning)
            )
        return self._replicas[gateway]

    def _part(self, gateway: str, json: Mapping[str, Any]) -> None:
        self._learning = self._loop.time() - self._started < _SETTLING
        self._replica(gateway).take_part(Part.from_json(json))
        self._learning = False

    def _wanted(self, _: str, json: Mapping[str, Any]) -> None:
        if json["of"] == self._bus.gateway:
            for part in self._origin.parts():
                self._bus.tell(_PART, part.as_json())

    # Periodic work

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._advance(self._loop.time())

    def _advance(self, now: float) -> None:
        for key in [key for key, at in self._leaving.items() if at <= now]:
            del self._leaving[key]
            self._claim(key, None)
        for delta in self._origin.deltas():
            self._bus.tell(_DELTA, delta.as_json())
        if now >= self._position_at and self._bus.others:
            self._position_at = now + _POSITION
            self._bus.tell(_DELTA, self._origin.position().as_json())
        for gateway, replica in tuple(self._replicas.items()):
            self._catch_up_with(gateway, replica, now)
        news = self._present.news()
        if self._announced:
            for room, events in news:
                for start in range(0, len(events), _EVENTS):
                    self._say(room, events[start : start + _EVENTS])

    def _catch_up_with(self, gateway: str, replica: Replica, now: float) -> None:
        if gateway in self._bus.others:
            self._gone.pop(gateway, None)
            if replica.behind and now >= self._ask_at.get(gateway, now):
                self._ask_at[gateway] = now + _ASK
                self._bus.tell(_WANT, {"of": gateway})
        elif now >= self._gone.setdefault(gateway, now + HOLD):
            self._present.drop(gateway)
            for known in (self._replicas, self._gone, self._ask_at):
                known.pop(gateway, None)

    def _say(self, room: int, events: list[Event]) -> None:
        if len(self._speaking) >= _MESSAGES:
            logger.warning(
                "room %d: %d changes of presence are not announced, because too many messages "
                "wait for the broker; the list of members present stays right",
                room,
                len(events),
            )
            return
        body = {
            "events": [
                {"user": event.user, "event": event.kind, "role": event.role}
                | ({} if event.claim.name is None else {"name": event.claim.name})
                for event in events
            ]
        }
        stream = Stream(Audience.PUBLIC, room)
        now = self._clock()
        sent_at = datetime.fromtimestamp(now, UTC)
        id = message_id(room, events, now)
        message = Message(id, stream, None, _NOBODY, sent_at, PRESENCE, body)
        self._speaking.spawn(self._publish(message), "presence: a message")

    async def _publish(self, message: Message) -> None:
        try:
            await self._publisher.publish(publication(message, self._topology), _PUBLISH_WITHIN)
        except NotConfirmed as error:
            # Presence is instant: a client that missed an announcement sees it in the list.
            logger.debug("%s: %s", message.stream, error)
