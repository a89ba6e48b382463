"""Logins, and the order in which they ended.

An ending takes the next revision and keeps the counter locked until it is committed. So a reader
that has seen a revision has seen all lower ones, and asks only for the later ones.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, insert, select, update

from gateway.domain.session import EndedSession, Endings, LoginSession, Proof
from gateway.store.tables import counters, sessions
from gateway.store.values import USER_LENGTH, text

#: The counter's name.
ENDINGS: Final = "session endings"

_NEXT: Final = (
    update(counters)
    .where(counters.c.name == ENDINGS)
    .values(value=counters.c.value + 1)
    .returning(counters.c.value)
)
# Made once: every gateway asks this again and again.
_ENDED_SINCE: Final = (
    select(counters.c.value, sessions.c.id, sessions.c.until, sessions.c.revision)
    .outerjoin_from(
        counters,
        sessions,
        and_(sessions.c.revision > bindparam("revision"), sessions.c.until > bindparam("now")),
    )
    .where(counters.c.name == ENDINGS)
    .order_by(sessions.c.revision)
)


def add(connection: Connection, session: LoginSession) -> None:
    """Store a new login."""
    values: dict[str, Any] = {
        "id": session.id,
        "user_id": text(session.user, "user", USER_LENGTH),
        "proof": session.proof,
        "since": session.since,
        "until": session.until,
    }
    connection.execute(insert(sessions).values(values))


def end(connection: Connection, session: LoginSession, at: datetime) -> EndedSession:
    """End the login, which is stored first if the database does not know it."""
    this = sessions.c.id == session.id
    if not connection.execute(select(sessions.c.id).where(this).with_for_update()).all():
        # The database was restored to a state before the login.
        add(connection, session)
    _end(connection, this, at)
    ended = select(sessions.c.id, sessions.c.until, sessions.c.revision).where(this)
    return EndedSession(*connection.execute(ended).one())


def end_of_account(connection: Connection, user: str, at: datetime) -> list[EndedSession]:
    """End the sessions that were opened with the account's password."""
    by_password = sessions.c.proof == Proof.PASSWORD
    return _end(connection, and_(sessions.c.user_id == user, by_password), at)


def ended_since(connection: Connection, revision: int, now: datetime) -> Endings:
    """The endings after ``revision`` of sessions that would still last at ``now``."""
    rows = connection.execute(_ENDED_SINCE, {"revision": revision, "now": now}).all()
    ended = [EndedSession(id, until, at) for _, id, until, at in rows if id is not None]
    return Endings(rows[0].value, ended)


def forget(connection: Connection, before: datetime) -> None:
    """Delete the logins that ended by themselves before this time."""
    connection.execute(delete(sessions).where(sessions.c.until < before))


def _end(connection: Connection, which: ColumnElement[bool], at: datetime) -> list[EndedSession]:
    revision = connection.execute(_NEXT).scalar_one()
    ending = (
        update(sessions)
        .where(which, sessions.c.ended_at.is_(None))
        .values(ended_at=at, revision=revision)
        .returning(sessions.c.id, sessions.c.until, sessions.c.revision)
    )
    return [EndedSession(*row) for row in connection.execute(ending)]
