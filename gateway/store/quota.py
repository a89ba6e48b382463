"""The most that the history keeps of one room.

Beyond it a post is refused, rather than that the oldest messages are deleted: otherwise anybody who
may post in a room could erase what the others have said. The last part is kept for hosts, who can
still say so and close the room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.domain.message import Draft
from gateway.domain.room import MemberRole
from gateway.errors import HistoryFull

#: The part of a quota that participants may use.
PARTICIPANTS: Final = 0.9


@dataclass(slots=True)
class Usage:
    """The messages that the history has of a room, and the bytes of their bodies."""

    messages: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Quota:
    """A room's messages, and the bytes of their bodies, both audiences together."""

    messages: int = 1_000_000
    bytes: int = 1024 * 1024 * 1024

    def refusal(self, usage: Usage, draft: Draft, size: int) -> HistoryFull | None:
        """The error for a message of so many bytes that the room may not get."""
        # What a host approves is the host's to add, whoever said it.
        is_hosts = draft.role is MemberRole.HOST or draft.place is not None
        part = 1.0 if is_hosts else PARTICIPANTS
        if usage.messages + 1 <= part * self.messages and usage.bytes + size <= part * self.bytes:
            return None
        return HistoryFull(
            f"room {draft.stream.room} is full: its history has {usage.messages} messages and "
            f"{usage.bytes} bytes; go on in a new room"
        )
