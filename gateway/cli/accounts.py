"""New local accounts, from the command line or a file."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from gateway.auth.accounts import Accounts
from gateway.auth.guesses import Guesses
from gateway.budget.budgets import Budgets
from gateway.cli.running import Unusable
from gateway.config import Config
from gateway.domain import display_name as display_names
from gateway.domain.guest import account_name
from gateway.domain.user_name import written_otherwise
from gateway.limits import LiveLimits
from gateway.store import Account, Store

_SHORTEST_PASSWORD: Final = 8
_NEEDED: Final = frozenset({"user", "password"})
_COLUMNS: Final = _NEEDED | {"roles", "name"}


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account whose password is not hashed yet."""

    user: str
    password: str = field(repr=False)
    roles: frozenset[str]
    display_name: str | None

    @classmethod
    def of(
        cls, written: str, password: str, roles: Iterable[str], *, display_name: str | None
    ) -> Self:
        """An account for a name as somebody has written it, which is shown if nothing else is. The
        ``ValueError`` says what is wrong."""
        name = account_name(written)
        if len(password) < _SHORTEST_PASSWORD:
            raise ValueError(f"a password must have at least {_SHORTEST_PASSWORD} characters")
        if display_name:
            return cls(name, password, frozenset(roles), display_names.display_name(display_name))
        return cls(name, password, frozenset(roles), written_otherwise(written, name))


def read_accounts(file: Path) -> list[NewAccount]:
    """The accounts of a CSV file with a head. Raises :class:`Unusable`, which names the line."""
    try:
        # Spreadsheets begin a file with a byte order mark.
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return _accounts(csv.DictReader(lines, strict=True), file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Unusable(f"{file}: cannot be read: {error}") from error


def _accounts(table: csv.DictReader[str], file: Path) -> list[NewAccount]:
    head = set(table.fieldnames or ())
    if not head >= _NEEDED or head - _COLUMNS:
        raise Unusable(f"{file}: its first line must be: user,password,roles,name")
    found: dict[str, NewAccount] = {}
    for row in table:
        try:
            new = NewAccount.of(
                row["user"] or "",
                row["password"] or "",
                (row.get("roles") or "").split(),
                display_name=row.get("name"),
            )
        except ValueError as error:
            raise Unusable(f"{file}, line {table.line_num}: {error}") from error
        if new.user in found:
            raise Unusable(f"{file}, line {table.line_num}: {new.user} is there twice")
        found[new.user] = new
    return list(found.values())


async def put_accounts(
    settings: Config, new: Sequence[NewAccount], store: Store, *, replace: bool
) -> None:
    """Store the accounts; one that replaces another keeps what is shown, unless it has something of
    its own. Raises :class:`Unusable` if one exists already, unless they may ``replace`` it; then
    none is stored."""
    before = {account.user: account for account in await store.accounts()}
    if not replace and (known := [each.user for each in new if each.user in before]):
        raise Unusable(f"{known[0]} has an account already; use --replace to change it")
    budgets = Budgets(LiveLimits(settings.limits), clock=time.monotonic)
    guesses = Guesses(budgets, clock=time.monotonic)
    accounts: Accounts[Account] = Accounts(store, guesses=guesses, budgets=budgets)
    try:
        for each in new:
            password_hash = await accounts.hash(each.password)
            shown = each.display_name
            if shown is None and each.user in before:
                shown = before[each.user].display_name
            await store.put_account(Account(each.user, password_hash, each.roles, shown))
    finally:
        accounts.close()
