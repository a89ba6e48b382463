"""Ranks: hosts and admins come first where something is short."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from gateway.domain.identity import ADMIN, HOST, Identity
from gateway.domain.room import MemberRole

_FIRST: Final = frozenset({ADMIN, HOST})


class Rank(IntEnum):
    """The rank of who asks. Its value is the percentage of a budget that is kept for higher ranks,
    wherever the table says that hosts come first."""

    HOST = 0
    #: Somebody who may turn out to be a host.
    UNKNOWN = 5
    PARTICIPANT = 10


def rank_of(identity: Identity | None, role: MemberRole | None = None) -> Rank:
    """The rank of a user: by the system roles, or by the ``role`` in the room that it is about.

    None: who it is becomes known only later.
    """
    if identity is None:
        return Rank.UNKNOWN
    if role is MemberRole.HOST or identity.roles & _FIRST:
        return Rank.HOST
    return Rank.PARTICIPANT
