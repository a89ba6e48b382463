"""The approvals of a batch of drafts: which drafts must wait for one, and which decide about
others. The decision of ``Store.append`` about them, without I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from broker.topology import Audience
from gateway.domain.approval import MOST_OF_AUTHOR, MOST_WAITING, REFUSED, Fate
from gateway.domain.message import Draft, Message
from gateway.domain.order import SETTINGS
from gateway.domain.room import MemberRole
from gateway.errors import ApprovalNeeded, GatewayError, NotWaiting, TooManyWaiting

#: A message that had to wait, by its room and the seq of its place.
Place = tuple[int, int]

#: The ``retry_after`` where too many wait, in seconds: hosts need longer, and the author's page
#: asks again.
RETRY_AFTER = 10.0


@dataclass(slots=True)
class Approving:
    """The state by which this is decided. ``rooms``: those whose hosts approve what participants
    say to everyone; ``fates``: of the messages about which the drafts decide; ``waiting`` and
    ``of_author``: how many wait, in those rooms."""

    rooms: set[int] = field(default_factory=set)
    fates: dict[Place, Fate] = field(default_factory=dict)
    waiting: Counter[int] = field(default_factory=Counter)
    of_author: Counter[tuple[int, str]] = field(default_factory=Counter)

    def refusal(self, draft: Draft) -> GatewayError | None:
        """The error for a draft that may not be stored now."""
        room = draft.stream.room
        if draft.place is not None:
            if self.fates.get((room, draft.place)) is Fate.WAITING:
                return None
            return NotWaiting(f"no message waits at {draft.place} in room {room}")
        if not self._must_wait(draft):
            return None
        if draft.keep is not None:
            # What stands in the state is seen by all who come; there is no place for what may.
            return ApprovalNeeded(
                f"the hosts of room {room} approve what is said to everyone, and a key cannot wait"
            )
        if self.waiting[room] >= MOST_WAITING:
            return TooManyWaiting(
                f"{MOST_WAITING} messages of room {room} wait for approval",
                retry_after=RETRY_AFTER,
            )
        if self.of_author[room, draft.sender] >= MOST_OF_AUTHOR:
            return TooManyWaiting(
                f"{MOST_OF_AUTHOR} of your messages wait for approval", retry_after=RETRY_AFTER
            )
        return None

    def take(self, draft: Draft, message: Message) -> bool:
        """Note a draft that is stored as this message. Returns whether it waits for approval."""
        room = draft.stream.room
        if draft.place is not None:
            self.fates[room, draft.place] = fate_by(draft)
            self.waiting[room] -= 1
            return False
        if waits := self._must_wait(draft):
            self.waiting[room] += 1
            self.of_author[room, draft.sender] += 1
            self.fates[room, message.seq or 0] = Fate.WAITING
        elif _sets_order(draft):
            # What follows in the same batch was sent after it.
            asked = isinstance(draft.body, dict) and draft.body.get("approve") is True
            (self.rooms.add if asked else self.rooms.discard)(room)
        return waits

    def _must_wait(self, draft: Draft) -> bool:
        return (
            draft.stream.room in self.rooms
            and draft.stream.audience is Audience.PUBLIC
            and draft.role is MemberRole.PARTICIPANT
        )


def fate_by(draft: Draft) -> Fate:
    """The fate that a draft gives to the message at its place."""
    return Fate.REFUSED if draft.type == REFUSED else Fate.APPROVED


def _sets_order(draft: Draft) -> bool:
    return (
        draft.keep == SETTINGS
        and draft.of is None
        and draft.role is MemberRole.HOST
        and draft.stream.audience is Audience.PUBLIC
    )
