"""The types of messages that only the gateway makes: readers take them at its word."""

from __future__ import annotations

from typing import Final

from gateway.domain.approval import PENDING, REFUSED
from gateway.domain.erasure import DELETED
from gateway.domain.message import PRESENCE

OWN_TYPES: Final = frozenset({PRESENCE, DELETED, PENDING, REFUSED})
