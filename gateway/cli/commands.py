"""The commands of the command line: each takes its options and returns an exit code."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

from pydantic import BaseModel, SecretStr

from gateway import main, tls
from gateway.auth import tokens
from gateway.auth.access import AccessRules
from gateway.cli import administrator, doctor, orders
from gateway.cli.accounts import existing, put_accounts, read_accounts
from gateway.cli.findings import Finding, say, tell
from gateway.cli.running import Unusable, WrongOptions, run, with_store
from gateway.cli.slips import write_slips
from gateway.config import Config, ConfigError, load
from gateway.descriptors import Descriptors
from gateway.domain.display_name import display_name
from gateway.domain.new_account import NewAccount
from gateway.domain.user_name import spellings, user_name
from gateway.errors import Invalid
from gateway.observe import logs
from gateway.store import Store


def serve(options: argparse.Namespace, settings: Config) -> int:
    """Run the gateway until it is stopped."""
    run(main.serve(settings, read=partial(load, options.config)))
    return 0


def migrate(_: argparse.Namespace, settings: Config) -> int:
    """Make the tables of the database, or bring them up to date. Gateways of the version before go
    on meanwhile."""

    async def bring_up_to_date() -> str:
        store = await main.opened_store(settings, migrate=True)
        try:
            return f"database {store.name} {store.schema}"
        finally:
            await store.close()

    say(run(bring_up_to_date()))
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
    password = _password_from_stdin() if options.password_stdin else secrets.token_urlsafe(15)
    try:
        new = NewAccount.of(options.name, password, options.role, display_name=options.display_name)
    except ValueError as error:
        raise Unusable(str(error)) from error
    run(with_store(settings, partial(put_accounts, settings, [new], replace=options.replace)))
    say(f"added {new.user}" if options.password_stdin else password)
    return 0


def import_users(options: argparse.Namespace, settings: Config) -> int:
    """Add the local accounts of a CSV file with the columns user, password, roles (separated by
    spaces) and name, of which all but the first may be left out. Who has no password there gets a
    new one, which is shown once, or stands on the slips."""
    if options.slips is not None and not options.address:
        raise WrongOptions("--slips needs --address, where people log in")
    new = read_accounts(options.file)
    if options.dry_run:
        known = run(with_store(settings, partial(existing, new)))
        for each in new:
            state = "has an account already" if each.user in known else "new"
            say(f"{each.user}\t{state}\t{'new password' if each.is_generated else ''}".rstrip())
        refused = known and not options.replace
        say(f"nothing was added; {len(new) - len(known)} would be new, {len(known)} replaced")
        return 1 if refused else 0
    if options.slips is not None:
        # First: passwords that are lost with a page that cannot be written are of no use.
        write_slips(options.slips, new, options.address)
    try:
        run(with_store(settings, partial(put_accounts, settings, new, replace=options.replace)))
    except BaseException:
        if options.slips is not None:
            options.slips.unlink()
        raise
    if options.slips is None:
        for each in new:
            if each.is_generated:
                say(f"{each.user}\t{each.password}")
    say(f"added {len(new)}")
    return 0


def show_user_as(options: argparse.Namespace, settings: Config) -> int:
    """Change what pages show beside a user's name; without TEXT they show the name alone."""
    shown = None
    try:
        name = user_name(options.name)
        if options.display_name is not None:
            shown = display_name(options.display_name)
    except ValueError as error:
        raise Unusable(str(error)) from error

    async def show(store: Store) -> bool:
        if not await store.show_account_as(name, shown):
            return False
        detail = f"show {name} as {shown or name}"
        await orders.note(settings, store, "account_shown_as", detail, user=name)
        return True

    if not run(with_store(settings, show)):
        raise Unusable(f"there is no account {name}")
    say(f"{name} is shown as {shown or name}; new logins and messages have it")
    return 0


def list_names(_: argparse.Namespace, settings: Config) -> int:
    """Show the user names that nobody can use, because they are not in their one form; exit code 1
    if there are any."""
    left = run(with_store(settings, lambda store: store.names_out_of_form()))
    for each in left:
        say(str(each))
    if left:
        say("`gateway names give OLD NEW` gives everything of one name to another")
    return 1 if left else 0


def give_name(options: argparse.Namespace, settings: Config) -> int:
    """Give the memberships, messages, rooms and account of one user name to another one, which is
    created by it or has them in addition; in a room of both the higher role counts."""

    async def give(store: Store) -> int:
        try:
            rows = await store.give_name(options.old, options.new)
        except Invalid as error:
            raise Unusable(error.detail) from error
        if rows:
            detail = f"gave everything of {options.old} to {options.new}"
            await orders.note(settings, store, "name_given", detail, user=options.new)
        return rows

    rows = run(with_store(settings, give))
    if not rows:
        raise Unusable(f"nothing stands under the name {options.old}")
    say(f"gave {rows} rows of {options.old} to {options.new}")
    return 0


def list_users(_: argparse.Namespace, settings: Config) -> int:
    """Show the local accounts and their roles."""
    for account in run(with_store(settings, lambda store: store.accounts())):
        shown = (
            ()
            if account.display_name is None
            else (json.dumps(account.display_name, ensure_ascii=False),)
        )
        say("\t".join((account.user, *sorted(account.roles), *shown)))
    return 0


def remove_user(options: argparse.Namespace, settings: Config) -> int:
    """Remove a local account; its sessions end, its memberships and messages stay."""
    for name in spellings(options.name):
        if run(with_store(settings, partial(_remove, settings, name))):
            say(f"removed {name}")
            return 0
    raise Unusable(f"there is no account {options.name}")


async def _remove(settings: Config, name: str, store: Store) -> bool:
    if not await store.remove_account(name):
        return False
    await orders.note(settings, store, "account_removed", f"removed {name}", user=name)
    return True


def _password_from_stdin() -> str:
    return sys.stdin.readline().rstrip("\r\n")


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
        elif isinstance(value, tuple) and value and isinstance(value[0], SecretStr):
            yield f"{key} = [{', '.join(['***'] * len(value))}]"
        elif isinstance(value, SecretStr):
            # Of a URL everything but the password may be shown.
            url = value.get_secret_value()
            yield f"{key} = {redact(url)!r}" if "://" in url else f"{key} = ***"
        elif value is None:
            yield f"{key}: not set"
        else:
            shown = str(value) if isinstance(value, Path) else value
            yield f"{key} = {list(shown) if isinstance(shown, tuple) else shown!r}"
