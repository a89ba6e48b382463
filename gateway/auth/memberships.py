"""Memberships as the store has them, remembered for the blink that G7 allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from cachetools import TTLCache

from gateway.domain.room import Membership

#: Seconds. A removed member's access ends within a second (G7), also where another gateway
#: removed them and no invalidation reaches this one.
LIFETIME: Final = 0.5


class MembershipSource(Protocol):
    async def membership(self, room: int, user: str) -> Membership | None:
        """None: there is no such room."""


class Memberships:
    """A bounded cache. ``clock`` gives seconds and never goes back."""

    def __init__(
        self, source: MembershipSource, *, clock: Callable[[], float], capacity: int = 10_000
    ) -> None:
        self._source = source
        self._known: TTLCache[tuple[int, str], Membership | None] = TTLCache(
            capacity, LIFETIME, timer=clock
        )
        self._invalidations = 0

    async def membership(self, room: int, user: str) -> Membership | None:
        """None: there is no such room. Raises what the source raises."""
        try:
            return self._known[room, user]
        except KeyError:
            pass
        before = self._invalidations
        found = await self._source.membership(room, user)
        # What was read before an invalidation may be what was invalidated.
        if before == self._invalidations:
            self._known[room, user] = found
        return found

    def invalidate(self, room: int, user: str | None = None) -> None:
        """Forget one member, or everyone in the room: they are asked for anew."""
        self._invalidations += 1
        for key in [k for k in self._known if k[0] == room and user in (None, k[1])]:
            self._known.pop(key, None)
