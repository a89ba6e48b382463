"""New local accounts, from the command line or a file."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from gateway.auth.accounts import Accounts
from gateway.auth.guesses import Guesses
from gateway.budget.budgets import Budgets
from gateway.cli import orders
from gateway.cli.running import Unusable
from gateway.config import Config
from gateway.domain.new_account import NewAccount, account_lines, listed
from gateway.domain.roster import decoded
from gateway.limits import LiveLimits
from gateway.store import Account, Store


def read_accounts(file: Path) -> list[NewAccount]:
    """The accounts of a CSV file whose first line names its columns; who has no password there gets
    a new one. Raises :class:`Unusable`, which names the line."""
    try:
        lines = list(account_lines(decoded(file.read_bytes())))
    except (OSError, ValueError) as error:
        raise Unusable(f"{file}: cannot be read: {error}") from error
    found: dict[str, NewAccount] = {}
    for line in lines:
        read = listed(line, secrets.choice)
        new = read.account
        if new is None:
            raise Unusable(f"{file}, line {line.number}: {read.why}")
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
            roles = ", ".join(sorted(each.roles)) or "no roles"
            what = "account and password of" if each.user in before else "new account"
            detail = f"{what} {each.user} ({roles})"
            await orders.note(settings, store, "accounts_made", detail, user=each.user)
    finally:
        accounts.close()
