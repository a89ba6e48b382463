"""Approval before showing: what a participant says to everyone waits until a host has looked at it.

Its number in the stream is taken by a place without content. What was said stands apart, and comes
into the stream by a number of its own when it is approved.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

#: The type of the place of a message that waits, or waited.
PENDING: Final = "pending"
#: The type of the message by which the author's page learns that it was refused.
REFUSED: Final = "refused"
#: Messages that may wait in a room at a time, and of one author.
MOST_WAITING: Final = 1_000
MOST_OF_AUTHOR: Final = 50


class Fate(StrEnum):
    """The fate of a message that had to wait."""

    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
