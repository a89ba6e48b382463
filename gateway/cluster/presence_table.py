"""Who is in which room, by what all gateways claim, and what is to be said about it. Pure.

Every gateway keeps the same table and sees the same changes; one of those whose clients are in the
room says them, and all can tell which one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from uuid import UUID, uuid5

from gateway.cluster.replica import Claim, Key
from gateway.domain.room import MemberRole

_NAMESPACE = UUID("8f0c1a52-5d0e-4b62-9a55-0c5f2f6f1e2b")


@dataclass(frozen=True, slots=True)
class Event:
    """A user has come, or is gone."""

    user: str
    joined: bool
    claim: Claim

    @property
    def role(self) -> MemberRole:
        return self.claim.role


class PresenceTable:
    """``gateway`` is this one's name."""

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway
        self._rooms: defaultdict[int, defaultdict[str, dict[str, Claim]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        self._gateways: defaultdict[int, Counter[str]] = defaultdict(Counter)
        #: What has been said, by this gateway or another one.
        self._said: defaultdict[int, dict[str, Claim]] = defaultdict(dict)
        self._changed: defaultdict[int, set[str]] = defaultdict(set)
        self._ripe: Mapping[int, set[str]] = {}

    def of(self, room: int) -> dict[str, Claim]:
        """Who is there now, each by their earliest claim."""
        return {user: _earliest(claims) for user, claims in self._rooms.get(room, {}).items()}

    def put(self, gateway: str, key: Key, claim: Claim | None, *, said: bool = False) -> None:
        """A gateway claims it, or (None) does so no more; ``said``: that it does is no news."""
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
        """It is gone, and its claims with it."""
        for room in [room for room, gateways in self._gateways.items() if gateway in gateways]:
            for user in [u for u, claims in self._rooms[room].items() if gateway in claims]:
                self.put(gateway, (room, user), None)

    def news(self) -> list[tuple[int, list[Event]]]:
        """What this gateway has to say, by room, about what had changed when it was asked last:
        by now the others know of it too, and all agree on who speaks."""
        return [(room, events) for room, events in self._events() if self._speaks(room)]

    def _events(self) -> list[tuple[int, list[Event]]]:
        ripe, self._ripe, self._changed = self._ripe, self._changed, defaultdict(set)
        found = []
        for room, users in ripe.items():
            said = self._said[room]
            present: Mapping[str, dict[str, Claim]] = self._rooms.get(room, {})
            events = []
            for user in sorted(users):
                if user in present and user not in said:
                    said[user] = _earliest(present[user])
                    events.append(Event(user, joined=True, claim=said[user]))
                elif user in said and user not in present:
                    events.append(Event(user, joined=False, claim=said.pop(user)))
            if not said:
                del self._said[room]
            if events:
                found.append((room, events))
        return found

    def _speaks(self, room: int) -> bool:
        """Also false where nobody is left to hear it."""
        gateways = self._gateways.get(room, ())
        return bool(gateways) and self._gateway == min(gateways, key=lambda g: _lot(room, g))


def message_id(room: int, events: list[Event]) -> UUID:
    """The same for the same events, so that what two gateways say counts once."""
    words = [f"{event.user}\n{event.joined}\n{event.claim.since!r}" for event in events]
    return uuid5(_NAMESPACE, "\n".join([str(room), *words]))


def _earliest(claims: dict[str, Claim]) -> Claim:
    return min(claims.values(), key=lambda claim: claim.since)


def _lot(room: int, gateway: str) -> bytes:
    return blake2b(f"{room} {gateway}".encode(), digest_size=8).digest()
