"""The numbering of a batch of drafts: the decision of ``Store.append``, without I/O."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from uuid import UUID

from broker.topology import Stream
from gateway.domain.message import Draft
from gateway.errors import GatewayError, IdReused, RoomClosed, UnknownRoom
from gateway.store.approving import Approving
from gateway.store.keys import Keys
from gateway.store.pace import Pace
from gateway.store.quota import Quota, Usage
from gateway.store.records import Appended


@dataclass(slots=True)
class Numbering:
    """The state by which the drafts of one batch are numbered.

    ``heads`` has the last seq of each existing stream, ``known`` the stored messages by their id,
    ``usage`` what each room has, ``keys`` what the kept state has of what the drafts name,
    ``approving`` what waits for approval. A draft that :meth:`take` accepts advances its stream's
    head and is known from then on.
    """

    heads: dict[Stream, int]
    closed_rooms: frozenset[int]
    known: dict[UUID, Appended]
    usage: dict[int, Usage] = field(default_factory=dict)
    quota: Quota = field(default_factory=Quota)
    keys: Keys = field(default_factory=Keys)
    pace: Pace = field(default_factory=Pace)
    approving: Approving = field(default_factory=Approving)

    def take(self, draft: Draft, size: int = 0) -> Appended | GatewayError:
        """Number a draft, whose body has ``size`` bytes. A repeated id gets the first answer again,
        even if the room has changed since."""
        if before := self.known.get(draft.id):
            return repeated(before, draft)
        if draft.stream not in self.heads:
            return UnknownRoom(f"there is no room {draft.stream.room}")
        if draft.stream.room in self.closed_rooms:
            return RoomClosed(f"room {draft.stream.room} is closed")
        usage = self.usage.setdefault(draft.stream.room, Usage())
        if refused := self._refusal(draft, size, usage):
            return refused
        usage.messages += 1
        usage.bytes += size
        self.heads[draft.stream] += 1
        message = draft.numbered(self.heads[draft.stream])
        appended = Appended(message, repeated=False)
        if self.approving.take(draft, message):
            appended = Appended(message.without_content(), repeated=False, waits=message)
        self.known[draft.id] = appended
        if draft.keep:
            self.keys.take(draft, size)
        if draft.apart:
            self.pace.take(draft)
        return appended

    def _refusal(self, draft: Draft, size: int, usage: Usage) -> GatewayError | None:
        if full := self.quota.refusal(usage, draft, size):
            return full
        if (draft.keep or draft.only_while) and (refused := self.keys.refusal(draft, size)):
            return refused
        if draft.apart and (too_soon := self.pace.refusal(draft)):
            return too_soon
        return self.approving.refusal(draft)


def repeated(before: Appended, draft: Draft) -> Appended | IdReused:
    """The answer to a draft whose id was stored ``before``."""
    try:
        same = before.said.says_the_same_as(draft)
    except (TypeError, ValueError, RecursionError):
        # The body is not JSON or is nested too deeply: nothing like it was ever stored.
        same = False
    if same:
        return replace(before, repeated=True)
    return IdReused(f"id {draft.id} was used for another message; choose a new one")
