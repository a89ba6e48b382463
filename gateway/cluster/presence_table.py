"""The table of who is in which room, by the claims of all gateways, and the changes to announce.
Pure.

Every gateway keeps the same table and sees the same changes. One of the gateways with clients in
the room announces them, and all agree on which one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from uuid import UUID, uuid5

from gateway.cluster.replica import Claim, Key
from gateway.domain.room import MemberRole

_NAMESPACE = UUID("8f0c1a52-5d0e-4b62-9a55-0c5f2f6f1e2b")


class Kind(StrEnum):
    """The kinds of change: a user comes, goes, or has another role in the room."""

    JOIN = "join"
    LEAVE = "leave"
    ROLE = "role"


@dataclass(frozen=True, slots=True)
class Event:
    """The arrival or departure of a user, or a change of role."""

    user: str
    kind: Kind
    claim: Claim

    @property
    def role(self) -> MemberRole:
        return self.claim.role


class PresenceTable:
    """The users in each room, with the gateways that claim them. ``gateway`` is this gateway's
    name."""

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway
        self._rooms: defaultdict[int, defaultdict[str, dict[str, Claim]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        self._gateways: defaultdict[int, Counter[str]] = defaultdict(Counter)
        #: Users whose presence was announced, by this gateway or another one.
        self._said: defaultdict[int, dict[str, Claim]] = defaultdict(dict)
        self._changed: defaultdict[int, set[str]] = defaultdict(set)
        self._ripe: Mapping[int, set[str]] = {}

    def of(self, room: int) -> dict[str, Claim]:
        """The users in the room, each with their earliest claim."""
        return {user: _earliest(claims) for user, claims in self._rooms.get(room, {}).items()}

    def put(self, gateway: str, key: Key, claim: Claim | None, *, said: bool = False) -> None:
        """Note a gateway's claim, or its end (None). ``said``: the claim was announced before."""
        room, user = key
        claims, gateways = self._rooms[room][user], self._gateways[room]
        if claim is None:
            if claims.pop(gateway, None):
                gateways[gateway] -= 1
        else:
            gateways[gateway] += gateway not in claims
            claims[gateway] = claim
        if not claims:
            del self._rooms[room][user]
        if not gateways[gateway]:
            del gateways[gateway]
        if not self._rooms[room]:
            del self._rooms[room], self._gateways[room]
        if said and claim is not None:
            self._said[room].setdefault(user, claim)
        else:
            self._changed[room].add(user)

    def drop(self, gateway: str) -> None:
        """Remove a gateway that is gone, and its claims."""
        for room in [room for room, gateways in self._gateways.items() if gateway in gateways]:
            for user in [u for u, claims in self._rooms[room].items() if gateway in claims]:
                self.put(gateway, (room, user), None)

    def news(self) -> list[tuple[int, list[Event]]]:
        """The changes since the last call that this gateway has to announce, by room. The others
        know of them by now, and all agree on who announces them."""
        return [(room, events) for room, events in self._events() if self._speaks(room)]

    def _events(self) -> list[tuple[int, list[Event]]]:
        ripe, self._ripe, self._changed = self._ripe, self._changed, defaultdict(set)
        found = []
        for room, users in ripe.items():
            said = self._said[room]
            present: Mapping[str, dict[str, Claim]] = self._rooms.get(room, {})
            events = []
            for user in sorted(users):
                if user in present:
                    kind = Kind.ROLE if user in said else Kind.JOIN
                    before, claim = said.get(user), _earliest(present[user])
                    said[user] = claim
                    if before is None or before.role is not claim.role:
                        events.append(Event(user, kind, claim))
                elif user in said:
                    events.append(Event(user, Kind.LEAVE, said.pop(user)))
            if not said:
                del self._said[room]
            if events:
                found.append((room, events))
        return found

    def _speaks(self, room: int) -> bool:
        """Whether this gateway announces for the room. Also false if nobody is left to hear it."""
        gateways = self._gateways.get(room, ())
        return bool(gateways) and self._gateway == min(gateways, key=lambda g: _lot(room, g))


def message_id(room: int, events: list[Event], now: float) -> UUID:
    """An id that is the same for the same events, so that two announcements count once.

    A role may change back and forth, and nothing numbers that: there the time ``now`` makes the
    difference. To be told twice what role somebody has harms nobody.
    """
    words = [
        f"{event.user}\n{event.kind is Kind.JOIN}\n{event.claim.since!r}"
        if event.kind is not Kind.ROLE
        else f"{event.user}\n{event.role}\n{now!r}"
        for event in events
    ]
    return uuid5(_NAMESPACE, "\n".join([str(room), *words]))


def _earliest(claims: dict[str, Claim]) -> Claim:
    return min(claims.values(), key=lambda claim: claim.since)


def _lot(room: int, gateway: str) -> bytes:
    return blake2b(f"{room} {gateway}".encode(), digest_size=8).digest()
