"""The user whom a checked token, cookie or password has identified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: System roles that the gateway itself knows; all others only open access rules.
ADMIN: Final = "admin"
HOST: Final = "host"


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated user with the system roles, and the end of the proof (seconds since the
    epoch).

    ``session`` is the login that was used. When it ends, everything that it opened ends too. None:
    the user showed a token.
    """

    user: str
    roles: frozenset[str]
    expires_at: float
    session: str | None = None

    def has(self, role: str) -> bool:
        return role in self.roles
