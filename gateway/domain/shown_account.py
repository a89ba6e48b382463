"""Accounts as an admin sees them: plain data, without a password's hash."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ShownAccount:
    """An account. ``name``: what is shown beside the user's name; ``sessions``: of its user that
    go on."""

    user: str
    name: str | None
    roles: frozenset[str]
    sessions: int = 0
    kept_out_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccountPage:
    """Accounts by their users' names. ``matching``: of all ``total`` accounts, those that have the
    searched text; ``more``: others of them come after these."""

    accounts: list[ShownAccount]
    matching: int
    total: int
    more: bool
