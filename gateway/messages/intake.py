"""Who may post what: the door to the pipeline that HTTP and STOMP share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from broker.topology import Stream
from gateway.auth.permissions import POST, Permissions
from gateway.auth.rates import RateLimiter
from gateway.domain.identity import ADMIN, Identity
from gateway.domain.message import PRESENCE, Draft, Importance
from gateway.domain.room import MemberRole
from gateway.errors import Invalid, Refused
from gateway.messages.pipeline import Pipeline, Receipt

MAX_TYPE_LENGTH = 100


class Intake:
    """``rates`` bounds each user's posts; ``clock`` gives the time of sending, in UTC.

    ``host_types``, which may be replaced at any time, are the types of message that a room's hosts
    alone may send: what such a message says is so for everybody who reads it.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        permissions: Permissions,
        *,
        rates: RateLimiter,
        host_types: Collection[str],
        clock: Callable[[], datetime],
    ) -> None:
        self.host_types = frozenset(host_types)
        #: Accepted since the start, by whether the broker had confirmed when it was answered.
        self.posted = {True: 0, False: 0}
        self._pipeline = pipeline
        self._permissions = permissions
        self._rates = rates
        self._clock = clock

    async def post(
        self,
        who: Identity,
        stream: Stream,
        *,
        id: UUID | None,
        type: str,
        importance: Importance,
        body: Any,
    ) -> Receipt:
        """Raises what :meth:`Permissions.require` and :meth:`Pipeline.post` raise, RateLimited,
        Refused for a type that is the hosts', and Invalid for one that is empty, too long or the
        gateway's own; nothing is stored then."""
        member = await self._permissions.require(who, POST[stream.audience], stream.room)
        # An admin may do in any room what its hosts may.
        role = MemberRole.HOST if who.has(ADMIN) else member
        if not 0 < len(type) <= MAX_TYPE_LENGTH:
            raise Invalid(f"type: must have 1 to {MAX_TYPE_LENGTH} characters")
        if type == PRESENCE:
            raise Invalid(f"type: {PRESENCE!r} is what the gateway says itself; choose another")
        if type in self.host_types and role is not MemberRole.HOST:
            raise Refused(f"only hosts of room {stream.room} may send messages of type {type!r}")
        self._rates.check(who.user)
        draft = Draft(id or uuid4(), stream, who.user, self._clock(), type, body, role)
        receipt = await self._pipeline.post(draft, importance)
        self.posted[receipt.published] += 1
        return receipt
