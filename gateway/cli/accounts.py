"""New local accounts, from the command line or a file."""

from __future__ import annotations

import secrets
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
from gateway.domain.roster import decoded, has_heads, lines_of
from gateway.domain.spoken_password import spoken_password
from gateway.domain.user_name import written_otherwise
from gateway.limits import LiveLimits
from gateway.store import Account, Store

_SHORTEST_PASSWORD: Final = 8


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account whose password is not hashed yet."""

    user: str
    password: str = field(repr=False)
    roles: frozenset[str]
    display_name: str | None
    #: Nobody knows it yet.
    is_generated: bool = False

    @classmethod
    def of(
        cls,
        written: str,
        password: str,
        roles: Iterable[str],
        *,
        display_name: str | None,
        is_generated: bool = False,
    ) -> Self:
        """An account for a name as somebody has written it, which is shown if nothing else is. The
        ``ValueError`` says what is wrong."""
        name = account_name(written)
        if len(password) < _SHORTEST_PASSWORD:
            raise ValueError(f"a password must have at least {_SHORTEST_PASSWORD} characters")
        if display_name:
            shown: str | None = display_names.display_name(display_name)
        else:
            shown = written_otherwise(written, name)
        return cls(name, password, frozenset(roles), shown, is_generated)


def read_accounts(file: Path) -> list[NewAccount]:
    """The accounts of a CSV file whose first line names its columns; who has no password there gets
    a new one. Raises :class:`Unusable`, which names the line."""
    try:
        text = decoded(file.read_bytes())
        lines = lines_of(text)
    except (OSError, ValueError) as error:
        raise Unusable(f"{file}: cannot be read: {error}") from error
    if not lines or not has_heads(text):
        raise Unusable(f"{file}: its first line must be: user,password,roles,name")
    found: dict[str, NewAccount] = {}
    for line in lines:
        given = line.get("password")
        try:
            new = NewAccount.of(
                line.get("user"),
                given or spoken_password(secrets.choice),
                line.get("roles").split(),
                display_name=line.get("name"),
                is_generated=not given,
            )
        except ValueError as error:
            raise Unusable(f"{file}, line {line.number}: {error}") from error
        if new.user in found:
            raise Unusable(f"{file}, line {line.number}: {new.user} is there twice")
        found[new.user] = new
    return list(found.values())


async def existing(new: Sequence[NewAccount], store: Store) -> set[str]:
    """Those of the names that have an account already."""
    return await store.known_accounts([each.user for each in new])


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
