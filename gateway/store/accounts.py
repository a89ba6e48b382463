"""Accounts of local logins."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace as replaced
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from gateway.store import rooms
from gateway.store.records import Account
from gateway.store.tables import accounts
from gateway.store.values import USER_LENGTH, is_text, json_text, text

#: Users that one statement asks about.
_PORTION: Final = 500


def get(connection: Connection, user: str) -> Account | None:
    """The user's account; None if there is none."""
    if not is_text(user):
        return None
    row = connection.execute(select(accounts).where(accounts.c.user_id == user)).one_or_none()
    return None if row is None else of_row(row)


def known(connection: Connection, users: Sequence[str]) -> list[str]:
    """Those of the users who have an account."""
    found: list[str] = []
    for start in range(0, len(users), _PORTION):
        portion = [user for user in users[start : start + _PORTION] if is_text(user)]
        these = select(accounts.c.user_id).where(accounts.c.user_id.in_(portion))
        found.extend(connection.execute(these).scalars())
    return found


def is_still(connection: Connection, account: Account) -> bool:
    """Whether the account is unchanged; it stays so until the transaction ends."""
    row = connection.execute(
        select(accounts)
        .where(accounts.c.user_id == text(account.user, "user", USER_LENGTH))
        .with_for_update(read=True)
    ).one_or_none()
    return row is not None and of_row(row) == account


def rehash(connection: Connection, account: Account, password_hash: str) -> bool:
    """Store a new hash of the same password; False if the account has changed since it was read."""
    if not is_still(connection, account):
        return False
    this = accounts.c.user_id == account.user
    connection.execute(update(accounts).where(this).values(password_hash=password_hash))
    return True


def put(connection: Connection, account: Account) -> None:
    """Create the account, or replace it."""
    values = {
        "password_hash": account.password_hash,
        "roles": json_text(sorted(account.roles)),
        "display_name": account.display_name,
    }
    this = accounts.c.user_id == text(account.user, "user", USER_LENGTH)
    if connection.execute(update(accounts).where(this).values(values)).rowcount == 0:
        connection.execute(insert(accounts).values(values | {"user_id": account.user}))


def add(connection: Connection, new: Sequence[Account], *, replace: bool) -> list[Account]:
    """Create those of the accounts that are not there; ``replace``: and replace the others, which
    keep what is shown if nothing else is to be. Returns the ones that are stored so."""
    before = set() if replace else known(connection, [each.user for each in new])
    stored = []
    for each in new:
        if each.user in before:
            continue
        kept = get(connection, each.user) if each.display_name is None else None
        account = each if kept is None else replaced(each, display_name=kept.display_name)
        put(connection, account)
        stored.append(account)
    return stored


def show_as(connection: Connection, user: str, display_name: str | None) -> bool:
    """Replace the name that is shown, for the account and for its memberships; False if there is
    no such account."""
    if not is_text(user):
        return False
    this = accounts.c.user_id == user
    if connection.execute(update(accounts).where(this).values(display_name=display_name)).rowcount:
        rooms.name_members(connection, user, display_name)
        return True
    return False


def remove(connection: Connection, user: str) -> bool:
    """Remove the user's account; False if there was none."""
    if not is_text(user):
        return False
    return connection.execute(delete(accounts).where(accounts.c.user_id == user)).rowcount == 1


def listing(connection: Connection) -> list[Account]:
    """All accounts, ordered by the user's name."""
    return [of_row(row) for row in connection.execute(select(accounts).order_by("user_id"))]


def of_row(row: Row[Any]) -> Account:
    """The account in a row of the table."""
    roles = frozenset(json.loads(row.roles))
    return Account(row.user_id, row.password_hash, roles, row.display_name)
