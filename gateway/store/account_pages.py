"""Accounts as an admin sees them: a page of them, with who is kept out and how many are logged
in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, and_, func, or_, select

from gateway.domain.revocation import Target
from gateway.domain.shown_account import AccountPage, ShownAccount
from gateway.store import accounts
from gateway.store.tables import accounts as table
from gateway.store.tables import revocations, sessions
from gateway.store.values import is_text


def page(
    connection: Connection, *, search: str, after: str | None, size: int, now: datetime
) -> AccountPage:
    """The accounts after a name of which the user's name or the name shown has the text, in
    capitals or not."""
    total = connection.execute(select(func.count()).select_from(table)).scalar_one()
    if not (is_text(search) and is_text(after or "")):
        return AccountPage([], 0, total, more=False)
    wanted = search.lower()
    found = or_(
        func.lower(table.c.user_id).contains(wanted, autoescape=True),
        func.lower(func.coalesce(table.c.display_name, "")).contains(wanted, autoescape=True),
    )
    matching = connection.execute(select(func.count()).select_from(table).where(found)).scalar_one()
    which = found if after is None else and_(found, table.c.user_id > after)
    rows = select(table).where(which).order_by(table.c.user_id).limit(size + 1)
    read = [accounts.of_row(row) for row in connection.execute(rows)]
    users = [account.user for account in read[:size]]
    going_on = and_(
        sessions.c.user_id.in_(users), sessions.c.until > now, sessions.c.ended_at.is_(None)
    )
    open_now = select(sessions.c.user_id, func.count()).where(going_on)
    counts = {row[0]: row[1] for row in connection.execute(open_now.group_by(sessions.c.user_id))}
    kept_out = select(revocations.c.value, revocations.c.kept_out_until).where(
        revocations.c.target == Target.USER,
        revocations.c.value.in_(users),
        revocations.c.kept_out_until > now,
    )
    until = {row.value: row.kept_out_until for row in connection.execute(kept_out)}
    shown = [
        ShownAccount(
            each.user,
            each.display_name,
            each.roles,
            counts.get(each.user, 0),
            until.get(each.user),
        )
        for each in read[:size]
    ]
    return AccountPage(shown, matching, total, more=len(read) > size)
