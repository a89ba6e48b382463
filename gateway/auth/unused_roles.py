"""The log's word about tokens whose roles give nothing here, said once for each kind of token.

Without it a teacher whose roles have another name than expected is a user without rights, and
nothing says why.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from typing import Final

logger = logging.getLogger(__name__)

#: Different sets of roles that one issuer's tokens are told of.
MOST: Final = 32
#: Roles, and characters of each, that a line shows.
_SHOWN_ROLES: Final = 10
_SHOWN_CHARACTERS: Final = 60


class UnusedRoles:
    """The sets of roles that were told of. ``issuer`` and ``table``: whose tokens, and where they
    are configured. ``claims``: where the roles are looked for."""

    def __init__(self, issuer: str, *, table: str, claims: str) -> None:
        self._issuer = issuer
        self._table = table
        self._claims = claims
        self._told: set[frozenset[str]] = set()

    def note(self, roles: Collection[str]) -> None:
        """Note a token with these roles, none of which means anything here."""
        kind = frozenset(roles)
        if kind in self._told or len(self._told) > MOST:
            return
        self._told.add(kind)
        if len(self._told) > MOST:
            logger.warning(
                "%s: tokens of %s have many more sets of roles that mean nothing here; no further"
                " one is told",
                self._table,
                self._issuer,
            )
        elif not kind:
            logger.warning(
                "%s: a token of %s has no roles in the claim %s, so its user has none here, like"
                " all whose tokens are so; if they should have some, set %s.roles_claim to the"
                " claim that has them (this is told once)",
                self._table,
                self._issuer,
                self._claims,
                self._table,
            )
        else:
            logger.warning(
                "%s: a token of %s has the roles %s, none of which is used here, so its user has"
                " none; if they should have some, map them in %s.roles (this is told once for these"
                " roles)",
                self._table,
                self._issuer,
                _shown(kind),
                self._table,
            )


def _shown(roles: Collection[str]) -> str:
    """In JSON, so that no role can look like a line of the log."""
    shown = [json.dumps(role[:_SHOWN_CHARACTERS]) for role in sorted(roles)[:_SHOWN_ROLES]]
    more = len(roles) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
