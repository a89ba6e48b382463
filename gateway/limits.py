"""The limits that are in force now: one object for everybody who enforces one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.config import Limits

#: Limits that are built into what stands; a restart changes them.
UNTIL_RESTART: Final = ("stall_timeout", "upstream_frame_bytes")


@dataclass(slots=True)
class LiveLimits:
    """The limits in force. Everything that enforces a limit reads it from ``now`` when it matters,
    and keeps no copy.

    So SIGHUP changes all limits in one assignment, and a new limit cannot be forgotten there.
    """

    now: Limits
    #: The largest ``body_bytes`` since the start: a message that was taken may come again.
    largest_body: int = 0

    def __post_init__(self) -> None:
        self.largest_body = max(self.largest_body, self.now.body_bytes)

    def replace(self, limits: Limits) -> None:
        """Put these in force, except for those that only a restart changes."""
        kept = {name: getattr(self.now, name) for name in UNTIL_RESTART}
        self.now = limits.model_copy(update=kept)
        self.largest_body = max(self.largest_body, limits.body_bytes)
