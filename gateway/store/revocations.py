"""The revocation list: the users and tokens whose access was ended by an order."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, insert, or_, select, update

from gateway.domain.revocation import LONGEST_REASON, LONGEST_VALUE, Revocation, Target
from gateway.domain.session import LoginSession
from gateway.errors import RevocationsFull
from gateway.store.tables import revocations
from gateway.store.values import USER_LENGTH, is_text, text

#: Entries: every gateway has all of them in memory, some 50 MB then.
MOST: Final = 100_000
#: Entries that are shown.
SHOWN: Final = 1_000

_SINCE: Final = (
    select(revocations)
    .where(revocations.c.revision > bindparam("revision"), revocations.c.until > bindparam("now"))
    .order_by(revocations.c.revision)
)


def put(connection: Connection, revocation: Revocation, revision: int) -> Revocation:
    """Store the entry, and return what is in force with what an earlier one of the same name has
    said. Raises :class:`RevocationsFull`, :class:`Invalid`."""
    values: dict[str, Any] = {
        "since": revocation.since,
        "until": revocation.until,
        "kept_out_until": revocation.kept_out_until,
        "reason": revocation.reason[:LONGEST_REASON],
        "ordered_by": text(revocation.by, "by", USER_LENGTH),
        "revision": revision,
    }
    this = _named(revocation.target, text(revocation.value, "value", LONGEST_VALUE))
    earlier = connection.execute(select(revocations).where(this)).one_or_none()
    if earlier is None:
        if connection.execute(select(func.count()).select_from(revocations)).scalar_one() >= MOST:
            raise RevocationsFull(f"the revocation list has {MOST} entries already")
        names = {"target": revocation.target, "value": revocation.value}
        connection.execute(insert(revocations).values(values | names))
    else:
        # Who orders an end does not let in somebody who is kept out.
        if revocation.kept_out_until is None and earlier.kept_out_until is not None:
            values["kept_out_until"] = earlier.kept_out_until
            if earlier.kept_out_until > revocation.since:
                # They go on being told why.
                values["reason"] = values["reason"] or earlier.reason
        # Later in any case, whatever this gateway's clock says: it is another order.
        values["since"] = max(revocation.since, earlier.since + timedelta(microseconds=1))
        values["until"] = max(revocation.until, earlier.until)
        connection.execute(update(revocations).where(this).values(values))
    return _entry(connection.execute(select(revocations).where(this)).one())


def admit(connection: Connection, target: Target, value: str, revision: int) -> bool:
    """Keep somebody out no longer; what has ended stays so. False: nobody was kept out."""
    if not is_text(value):
        return False
    kept_out = and_(_named(target, value), revocations.c.kept_out_until.is_not(None))
    change = update(revocations).where(kept_out).values(kept_out_until=None, revision=revision)
    return connection.execute(change).rowcount == 1


def keep_out_too(connection: Connection, user: str, other: str, revision: int) -> None:
    """Keep the ``other`` user out as long as the ``user`` is kept out, if not longer anyway."""
    named = [_named(Target.USER, text(each, "user", USER_LENGTH)) for each in (user, other)]
    found = connection.execute(select(revocations).where(or_(*named)))
    entries = {row.value: _entry(row) for row in found}
    given, own = entries.get(user), entries.get(other)
    if given is None or given.kept_out_until is None:
        return
    until = own.kept_out_until if own is not None else None
    longer = own if own is not None and until and until > given.kept_out_until else given
    put(connection, replace(longer, value=other, since=given.since), revision)


def about(connection: Connection, session: LoginSession) -> list[Revocation]:
    """The entries that name the session's user, or the token that was traded for it."""
    which = _named(Target.USER, session.user)
    if (token := session.token) is not None:
        which = or_(which, _named(Target.SUBJECT, token.subject))
        if token.id is not None:
            which = or_(which, _named(Target.TOKEN, token.id))
    return [_entry(row) for row in connection.execute(select(revocations).where(which))]


def since(connection: Connection, revision: int, now: datetime) -> list[Revocation]:
    """The entries that were put or changed after ``revision`` and count at ``now``."""
    rows = connection.execute(_SINCE, {"revision": revision, "now": now})
    return [_entry(row) for row in rows]


def listing(connection: Connection, now: datetime) -> list[Revocation]:
    """The newest entries that count, the last one first."""
    which = revocations.c.until > now
    newest = select(revocations).where(which).order_by(revocations.c.revision.desc()).limit(SHOWN)
    return [_entry(row) for row in connection.execute(newest)]


def forget(connection: Connection, before: datetime, *, portion: int) -> int:
    """Delete up to ``portion`` entries whose time was over before then. Returns how many."""
    old = select(revocations.c.target, revocations.c.value).where(revocations.c.until < before)
    found = connection.execute(old.limit(portion)).all()
    for target, value in found:
        connection.execute(delete(revocations).where(_named(Target(target), value)))
    return len(found)


def _named(target: Target, value: str) -> Any:
    return and_(revocations.c.target == target, revocations.c.value == value)


def _entry(row: Row[Any]) -> Revocation:
    return Revocation(
        target=Target(row.target),
        value=row.value,
        since=row.since,
        until=row.until,
        kept_out_until=row.kept_out_until,
        reason=row.reason,
        by=row.ordered_by,
        revision=row.revision,
    )
