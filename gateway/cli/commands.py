"""The commands of the command line: each takes its options and returns an exit code."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import BaseModel, SecretStr

from gateway import main, tls
from gateway.auth import tokens
from gateway.auth.access import AccessRules
from gateway.auth.accounts import Accounts
from gateway.auth.guesses import Guesses
from gateway.auth.names import user_name
from gateway.budget.budgets import Budgets
from gateway.cli import administrator, doctor
from gateway.cli.findings import Finding, say, tell
from gateway.cli.running import Unusable, run, with_store
from gateway.config import Config, ConfigError, load
from gateway.descriptors import Descriptors
from gateway.limits import LiveLimits
from gateway.observe import logs
from gateway.store import Account, Store

_SHORTEST_PASSWORD: Final = 8


def serve(options: argparse.Namespace, settings: Config) -> int:
    """Run the gateway until it is stopped."""
    run(main.serve(settings, read=partial(load, options.config)))
    return 0


def check_config(_: argparse.Namespace, settings: Config) -> int:
    """Show the configuration that is in force, without its secrets; refuse one that cannot
    serve."""
    AccessRules(settings.access, home=settings.broker.vhost)
    for table, issuer in settings.auth.every_issuer:
        tokens.key_source(issuer, clock=time.monotonic, table=table)
    tls.for_broker(settings.broker.tls)
    if settings.server.tls is not None:
        tls.for_clients(settings.server.tls)
    for line in _lines(settings):
        say(line)
    # No fault of the configuration: the service may be allowed more than this shell.
    if shortage := Descriptors.found(settings).shortage(settings):
        sys.stderr.write(f"warning: {shortage}\n")
    return 0


def diagnose(options: argparse.Namespace, settings: Config) -> int:
    """Check everything the gateway needs, and say how to repair what is wrong."""
    access = administrator.access(options, settings)
    remedy = administrator.remedy(options)

    async def report() -> int:
        return await _report(doctor.examine(settings, access, remedy=remedy))

    return run(report())


# Accounts


def add_user(options: argparse.Namespace, settings: Config) -> int:
    """Add a local account; without --password-stdin a password is generated and printed."""
    try:
        name = user_name(options.name)
    except ValueError as error:
        raise Unusable(str(error)) from error
    password = _password_from_stdin() if options.password_stdin else secrets.token_urlsafe(15)

    async def put(store: Store) -> None:
        if not options.replace and await store.account(name) is not None:
            raise Unusable(f"{name} has an account already; use --replace to change it")
        budgets = Budgets(LiveLimits(settings.limits), clock=time.monotonic)
        guesses = Guesses(budgets, clock=time.monotonic)
        accounts: Accounts[Account] = Accounts(store, guesses=guesses, budgets=budgets)
        try:
            password_hash = await accounts.hash(password)
        finally:
            accounts.close()
        await store.put_account(Account(name, password_hash, frozenset(options.role)))

    run(with_store(settings, put))
    say(f"added {name}" if options.password_stdin else password)
    return 0


def list_users(_: argparse.Namespace, settings: Config) -> int:
    """Show the local accounts and their roles."""
    for account in run(with_store(settings, lambda store: store.accounts())):
        say("\t".join((account.user, *sorted(account.roles))))
    return 0


def remove_user(options: argparse.Namespace, settings: Config) -> int:
    """Remove a local account; its sessions end, its memberships and messages stay."""
    if not run(with_store(settings, lambda store: store.remove_account(options.name))):
        raise Unusable(f"there is no account {options.name}")
    say(f"removed {options.name}")
    return 0


def _password_from_stdin() -> str:
    password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < _SHORTEST_PASSWORD:
        raise Unusable(f"a password must have at least {_SHORTEST_PASSWORD} characters")
    return password


def issue_token(options: argparse.Namespace, settings: Config) -> int:
    """Print a token that this gateway accepts; this needs an issuer with a secret (HS256)."""
    issuers = [issuer for _, issuer in settings.auth.every_issuer]
    if not issuers:
        raise ConfigError("auth.jwt is not configured, so the gateway would accept no token")
    if options.issuer is not None:
        issuers = [issuer for issuer in issuers if issuer.issuer == options.issuer]
        if not issuers:
            raise Unusable(f"no issuer {options.issuer} is configured")
    now = time.time()
    try:
        token = tokens.issue(
            next((issuer for issuer in issuers if issuer.secret is not None), issuers[0]),
            options.name,
            roles=frozenset(options.role),
            expires_at=now + options.lifetime,
            now=now,
        )
    except ValueError as error:
        raise Unusable(str(error)) from error
    say(token)
    return 0


# Common parts


async def _report(findings: AsyncIterator[Finding]) -> int:
    return max([tell([finding]) async for finding in findings], default=0)


def _lines(table: BaseModel, path: str = "") -> Iterator[str]:
    redact = logs.Redaction()
    for name in type(table).model_fields:
        value = getattr(table, name)
        key = f"{path}{name}"
        if isinstance(value, BaseModel):
            yield from _lines(value, f"{key}.")
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for number, entry in enumerate(value):
                yield from _lines(entry, f"{key}.{number}.")
        elif isinstance(value, SecretStr):
            # Of a URL everything but the password may be shown.
            url = value.get_secret_value()
            yield f"{key} = {redact(url)!r}" if "://" in url else f"{key} = ***"
        elif value is None:
            yield f"{key}: not set"
        else:
            shown = str(value) if isinstance(value, Path) else value
            yield f"{key} = {list(shown) if isinstance(shown, tuple) else shown!r}"
