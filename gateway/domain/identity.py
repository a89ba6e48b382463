"""Who somebody is: what a checked token, cookie or password has established."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: System roles with a meaning of their own; others only open access rules.
ADMIN: Final = "admin"
HOST: Final = "host"


@dataclass(frozen=True, slots=True)
class Identity:
    """A user, the system roles, and when the proof of it ends (seconds since the epoch).

    ``session``: the login that ends everything that was opened by it; None: a token was shown.
    """

    user: str
    roles: frozenset[str]
    expires_at: float
    session: str | None = None

    def has(self, role: str) -> bool:
        return role in self.roles
