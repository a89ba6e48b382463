"""Entries of the revocation list: whose access was ended by an order, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final

from gateway.domain.message import timestamp

#: The longest value that an entry, or a session's row, holds as it is, in characters.
LONGEST_VALUE: Final = 255
#: The longest reason, in characters.
LONGEST_REASON: Final = 200
#: How long an entry is kept, which is longer than any token should live.
REMEMBERED: Final = timedelta(days=366)


class Target(StrEnum):
    """The kind of an entry's name: a user's (whichever way they log in), or the value of a token's
    claim ``sub`` or ``jti`` (RFC 7519, sections 4.1.2 and 4.1.7)."""

    USER = "user"
    SUBJECT = "sub"
    TOKEN = "jti"  # noqa: S105 - the claim's name


@dataclass(frozen=True, slots=True)
class TokenMark:
    """The facts by which a token can be revoked. ``issued_at``: the first moment at which it can
    have been issued (Unix seconds); 0 if it does not say. ``id`` is None without a ``jti``."""

    id: str | None
    subject: str
    issued_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """One entry. Tokens that were issued up to ``since`` count no more, and nobody whom the entry
    names comes in before ``kept_out_until`` (None: they may log in again at once).

    ``reason`` is public. ``by``: who has ordered it. ``until``: when the entry may be forgotten.
    ``revision``: its place in the order of endings.
    """

    target: Target
    value: str
    since: datetime
    until: datetime
    kept_out_until: datetime | None = None
    reason: str = ""
    by: str = ""
    revision: int = 0

    def keeps_out(self, now: float) -> bool:
        """Whether nobody named by the entry comes in at ``now`` (Unix seconds)."""
        return self.kept_out_until is not None and self.kept_out_until.timestamp() > now

    def ends(self, token: TokenMark) -> bool:
        """Whether a token that the entry names counts no more."""
        return self.target is Target.TOKEN or token.issued_at <= self.since.timestamp()


def terms(kept_out_until: datetime | None, reason: str) -> str:
    """The rest of an order's sentence, for people: until when somebody is kept out, and why."""
    until = "" if kept_out_until is None else f", and keep out until {timestamp(kept_out_until)}"
    return until + (f" ({reason})" if reason else "")


def listed(claim: str) -> str:
    """The form in which the list holds a claim's value: itself, or its hash if it is too long."""
    if len(claim) <= LONGEST_VALUE and claim.isprintable():
        return claim
    return f"sha256:{sha256(claim.encode(errors='surrogatepass')).hexdigest()}"
