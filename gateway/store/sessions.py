"""Logins, and the order in which they ended.

An ending takes the next revision and keeps the counter locked until it is committed. So a reader
that has seen a revision has seen all lower ones, and asks only for the later ones. Whoever needs
several locks takes them in one order: the account, the counter, the sessions. Sessions that are
over are locked by their deletion only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from gateway.domain.revocation import Revocation, Target, TokenMark
from gateway.domain.session import EndedSession, Endings, LoginSession, Proof
from gateway.errors import GatewayError
from gateway.store import revocations
from gateway.store.tables import counters, members, sessions
from gateway.store.values import USER_LENGTH, is_text, text

#: The counter's name.
ENDINGS: Final = "session endings"
#: Sessions that are deleted by one statement.
PORTION: Final = 1_000
#: The reason for which the longest unused of too many sessions ends.
TOO_MANY: Final = "the same user has logged in too often"
#: The reason for which the sessions of a user end whose name was given to another one.
RENAMED: Final = "the user is called otherwise now"

#: The error for a new session, by the entries of the revocation list that name its user or token;
#: None: it may begin. It is called in a thread of the database.
SessionRefusal = Callable[[Sequence[Revocation]], GatewayError | None]

_NEXT: Final = (
    update(counters)
    .where(counters.c.name == ENDINGS)
    .values(value=counters.c.value + 1)
    .returning(counters.c.value)
)
#: Taken by each login, so that no ending misses it: the ending is seen here, or sees this login.
_LOCK: Final = select(counters.c.value).where(counters.c.name == ENDINGS).with_for_update()
# Made once: every gateway asks this again and again.
_ENDED_SINCE: Final = (
    select(
        counters.c.value,
        sessions.c.id,
        sessions.c.until,
        sessions.c.revision,
        func.coalesce(sessions.c.reason, ""),
    )
    .outerjoin_from(
        counters,
        sessions,
        and_(sessions.c.revision > bindparam("revision"), sessions.c.until > bindparam("now")),
    )
    .where(counters.c.name == ENDINGS)
    .order_by(sessions.c.revision)
)
_IS_OPEN: Final = sessions.c.ended_at.is_(None)
_LAST_SEEN: Final = func.coalesce(sessions.c.last_seen, sessions.c.since)
_SAW: Final = (
    update(sessions)
    .where(sessions.c.id == bindparam("session"), bindparam("seen") > _LAST_SEEN)
    .values(last_seen=bindparam("seen"))
)


def add(
    connection: Connection,
    session: LoginSession,
    *,
    most: int | None = None,
    refusal: SessionRefusal | None = None,
) -> None:
    """Store a new login; beyond ``most`` of the user's, the longest unused ones end.

    Raises the error of ``refusal``.
    """
    connection.execute(_LOCK)
    if refusal is not None:
        named = revocations.about(connection, session)
        if named and (error := refusal(named)) is not None:
            raise error
    _insert(connection, session)
    if most is not None:
        user = text(session.user, "user", USER_LENGTH)
        going_on = and_(sessions.c.until > session.since, _IS_OPEN)
        own = and_(sessions.c.user_id == user, sessions.c.proof == session.proof, going_on)
        others = and_(own, sessions.c.id != session.id)
        oldest = select(sessions.c.id).where(others).order_by(_LAST_SEEN.desc()).offset(most - 1)
        # SQLite knows no OFFSET without a LIMIT.
        if ids := connection.execute(oldest.limit(PORTION)).scalars().all():
            _end(connection, sessions.c.id.in_(ids), session.since, TOO_MANY)


def end(connection: Connection, session: LoginSession, at: datetime) -> EndedSession:
    """End the login, which is stored first if the database does not know it."""
    connection.execute(_LOCK)
    this = sessions.c.id == session.id
    if not connection.execute(select(sessions.c.id).where(this)).all():
        # The database was restored to a state before the login.
        _insert(connection, session)
    _end(connection, this, at)
    return EndedSession(*connection.execute(select(*_ENDED).where(this)).one())


def end_of_account(connection: Connection, user: str, at: datetime) -> list[EndedSession]:
    """End the sessions that were opened with the account's password and go on."""
    by_password = and_(sessions.c.proof == Proof.PASSWORD, sessions.c.until > at)
    return _end(connection, and_(sessions.c.user_id == user, by_password), at)


def end_of_users(
    connection: Connection, beginning: str, at: datetime, reason: str
) -> list[EndedSession]:
    """End the sessions of all users whose names begin so."""
    named = sessions.c.user_id.startswith(beginning, autoescape=True)
    return _end(connection, and_(named, sessions.c.until > at), at, reason)


def open_of(connection: Connection, user: str, at: datetime) -> list[str]:
    """The ids of the user's sessions that go on."""
    going_on = and_(sessions.c.user_id == user, sessions.c.until > at, _IS_OPEN)
    return list(connection.execute(select(sessions.c.id).where(going_on)).scalars())


def end_renamed(connection: Connection, ids: Sequence[str], at: datetime) -> None:
    """End sessions whose cookies name a user who is called otherwise now: orders about the new name
    would say nothing to them, and those about the old one would not find them."""
    if ids:
        _end(connection, sessions.c.id.in_(ids), at, RENAMED)


def end_own(
    connection: Connection,
    user: str,
    proof: Proof,
    at: datetime,
    *,
    only: str | None = None,
    but: str | None = None,
) -> list[EndedSession]:
    """End a user's sessions that are still open: the ``only`` one, or all ``but`` one."""
    if only is not None and not is_text(only):
        return []
    own = and_(sessions.c.user_id == user, sessions.c.proof == proof, sessions.c.until > at)
    if only is not None:
        own = and_(own, sessions.c.id == only)
    if but is not None:
        own = and_(own, sessions.c.id != but)
    return _end(connection, own, at)


def revoke(connection: Connection, revocation: Revocation) -> Endings:
    """Put the entry on the revocation list, and end all sessions that it names.

    Raises :class:`RevocationsFull`.
    """
    revision = connection.execute(_NEXT).scalar_one()
    entry = revocations.put(connection, revocation, revision)
    value = revocation.value
    named = {
        Target.USER: sessions.c.user_id == value,
        Target.SUBJECT: sessions.c.token_subject == value,
        Target.TOKEN: sessions.c.token_id == value,
    }[revocation.target]
    which = and_(named, sessions.c.until > revocation.since)
    ended = _end(connection, which, revocation.since, revocation.reason, revision=revision)
    return Endings(revision, ended, [entry])


def admit(connection: Connection, target: Target, value: str) -> bool:
    """Let somebody in again who is kept out. False: nobody of that name is on the list."""
    revision = connection.execute(_NEXT).scalar_one()
    return revocations.admit(connection, target, value, revision)


def keep_out_too(connection: Connection, user: str, other: str) -> None:
    """Keep the ``other`` user out, on all gateways, as long as the ``user`` is kept out."""
    revision = connection.execute(_NEXT).scalar_one()
    revocations.keep_out_too(connection, user, other, revision)


def get(connection: Connection, id: str) -> LoginSession | None:
    """The login, unless it has ended before its time. None: there is none."""
    if not is_text(id):
        return None
    found = connection.execute(select(sessions).where(sessions.c.id == id, _IS_OPEN)).one_or_none()
    return None if found is None else _session(found)


def of_user(
    connection: Connection, user: str, proof: Proof | None, now: datetime, *, most: int
) -> list[LoginSession]:
    """The user's sessions that go on, the last seen first."""
    if not is_text(user):
        return []
    own = and_(sessions.c.user_id == user, sessions.c.until > now, _IS_OPEN)
    if proof is not None:
        own = and_(own, sessions.c.proof == proof)
    found = select(sessions).where(own).order_by(_LAST_SEEN.desc()).limit(most)
    return [_session(row) for row in connection.execute(found)]


def saw(connection: Connection, seen: Mapping[str, datetime]) -> None:
    """Note when sessions were seen last. Those that somebody else changes just now are left out: an
    ending must never wait for this in a circle."""
    free = select(sessions.c.id).where(sessions.c.id.in_(seen)).with_for_update(skip_locked=True)
    if ids := connection.execute(free).scalars().all():
        connection.execute(_SAW, [{"session": id, "seen": seen[id]} for id in ids])


def ended_since(connection: Connection, revision: int, now: datetime) -> Endings:
    """The endings after ``revision`` of sessions that would still last at ``now``, and the entries
    of the revocation list that are as new."""
    rows = connection.execute(_ENDED_SINCE, {"revision": revision, "now": now}).all()
    ended = [EndedSession(*row) for _, *row in rows if row[0] is not None]
    newest = rows[0].value
    # Read afterwards: an entry that is not among these yet has a higher revision than the newest.
    new = revocations.since(connection, revision, now) if newest != revision else []
    return Endings(newest, ended, tuple(new))


def forget(connection: Connection, before: datetime) -> int:
    """Delete some of the logins, and of the entries of the revocation list, whose time was over
    before then. Returns how many of each at most; as many as :data:`PORTION`: there may be more."""
    old = select(sessions.c.id, sessions.c.user_id, sessions.c.proof)
    # As a list: PostgreSQL could plan a subquery anew for each row.
    found = connection.execute(old.where(sessions.c.until < before).limit(PORTION)).all()
    ids = [row.id for row in found]
    if ids:
        connection.execute(delete(sessions).where(sessions.c.id.in_(ids)))
    # A guest is a member for as long as the session lasts, and has only one.
    if guests := [row.user_id for row in found if row.proof == Proof.GUEST]:
        connection.execute(delete(members).where(members.c.user_id.in_(guests)))
    return max(len(ids), revocations.forget(connection, before, portion=PORTION))


def _insert(connection: Connection, session: LoginSession) -> None:
    token = session.token
    values: dict[str, Any] = {
        "id": session.id,
        "user_id": text(session.user, "user", USER_LENGTH),
        "proof": session.proof,
        "since": session.since,
        "until": session.until,
        "address": session.address[:64],
        "device": session.device[:200],
        "token_id": None if token is None else token.id,
        "token_subject": None if token is None else token.subject,
    }
    connection.execute(insert(sessions).values(values))


_ENDED: Final = (
    sessions.c.id,
    sessions.c.until,
    sessions.c.revision,
    func.coalesce(sessions.c.reason, ""),
)


def _end(
    connection: Connection,
    which: ColumnElement[bool],
    at: datetime,
    reason: str = "",
    *,
    revision: int | None = None,
) -> list[EndedSession]:
    if revision is None:
        revision = connection.execute(_NEXT).scalar_one()
    ending = (
        update(sessions)
        .where(which, _IS_OPEN)
        .values(ended_at=at, revision=revision, reason=reason)
        .returning(*_ENDED)
    )
    return [EndedSession(*row) for row in connection.execute(ending)]


def _session(row: Row[Any]) -> LoginSession:
    token = None
    if row.token_subject is not None:
        token = TokenMark(row.token_id, row.token_subject, 0.0)
    return LoginSession(
        row.id,
        row.user_id,
        Proof(row.proof),
        row.since,
        row.until,
        address=row.address or "",
        device=row.device or "",
        token=token,
        last_seen=row.last_seen,
    )
