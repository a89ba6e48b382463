"""The end of a connection, however the client came: its event, log line and time to come back."""

from __future__ import annotations

import logging
from random import Random
from typing import Final, Protocol

from broker.protocol.websocket import CloseCode
from gateway.domain.identity import Identity
from gateway.domain.journal import Visit
from gateway.errors import GatewayError, outcome
from gateway.observe.events import Events, Kind

logger = logging.getLogger(__name__)

#: Seconds over which clients that have to come back are spread, each drawing its own.
SPREAD: Final = (1.0, 5.0)

#: The ends after which a client comes back, and those after which it may as well at once.
_AWAY: Final = frozenset({CloseCode.SERVICE_RESTART, CloseCode.TRY_AGAIN_LATER})
_RESUMES: Final = frozenset({CloseCode.TOO_SLOW, CloseCode.INTERNAL_ERROR})


class Ending(Protocol):
    """A connection that ends."""

    id: str
    address: str
    identity: Identity | None

    @property
    def node(self) -> str | None: ...

    def visit(self) -> Visit:
        """The facts that the journal remembers."""


def coming_back(error: GatewayError, rng: Random, *, or_resumes: bool = False) -> int | None:
    """Milliseconds until the client is to come back; None: it is not to come back by itself.
    ``or_resumes``: also for ends of which a close code alone tells that it may resume."""
    code = outcome(error).close_code
    if code not in _AWAY and not (or_resumes and code in _RESUMES):
        return None
    # Drawn for each client: those who leave together must not come back together.
    return round(1000 * ((error.retry_after or 0.0) + rng.uniform(*SPREAD)))


def note(connection: Ending, error: GatewayError, events: Events) -> None:
    """Note the end, with its reason, as an event and in the log."""
    row = outcome(error)
    is_new = note_end(
        connection, row.code, error.detail, row.close_code, events=events, budget=error.budget
    )
    # One of many alike is for debugging.
    level = logging.INFO if is_new else logging.DEBUG
    logger.log(
        level,
        "closing with %d %s, %s: %s",
        row.close_code,
        row.code,
        who(connection.identity),
        error.detail,
    )


def who(identity: Identity | None) -> str:
    """The user, for the log."""
    return "user not known" if identity is None else f"user {identity.user}"


def note_end(
    connection: Ending,
    code: str,
    detail: str,
    status: int,
    *,
    events: Events,
    budget: str | None = None,
) -> bool:
    """Note the end as an event. False: one of many alike."""
    identity = connection.identity
    return events.note(
        Kind.CLOSE,
        code,
        detail,
        status=status,
        user=identity.user if identity else None,
        address=connection.address,
        node=connection.node,
        connection=connection.id,
        budget=budget,
        visit=connection.visit(),
    )
