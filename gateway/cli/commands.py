"""The commands of the command line: each takes its options and returns an exit code."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import uvloop
from pydantic import BaseModel, SecretStr

from broker.publishing import provision
from broker.publishing.link import LinkFailed
from broker.publishing.provision import Check
from broker.topology import Topology
from gateway import main, tls
from gateway.auth import tokens
from gateway.auth.access import AccessRules
from gateway.auth.accounts import Accounts
from gateway.auth.guesses import Guesses
from gateway.auth.names import user_name
from gateway.cli import doctor
from gateway.cli.doctor import Finding
from gateway.config import Config, ConfigError, load
from gateway.limits import LiveLimits
from gateway.observe import logs
from gateway.store import Account, Store

_SHORTEST_PASSWORD: Final = 8

T = TypeVar("T")


class Unusable(Exception):
    """The command cannot be carried out as given; the text says why."""


def serve(options: argparse.Namespace, settings: Config) -> int:
    """Run the gateway until it is stopped."""
    _run(main.serve(settings, read=partial(load, options.config)))
    return 0


def check_config(_: argparse.Namespace, settings: Config) -> int:
    """Show the configuration that is in force, without its secrets; refuse one that cannot
    serve."""
    AccessRules(settings.access)
    if settings.auth.jwt is not None:
        tokens.key_source(settings.auth.jwt, clock=time.monotonic)
    tls.for_broker(settings.broker.tls)
    if settings.server.tls is not None:
        tls.for_clients(settings.server.tls)
    for line in _lines(settings):
        say(line)
    return 0


def diagnose(_: argparse.Namespace, settings: Config) -> int:
    """Check everything the gateway needs, and say how to repair what is wrong."""

    async def report() -> int:
        return await _report(doctor.examine(settings))

    return _run(report())


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
        guesses = Guesses(LiveLimits(settings.limits).failed_logins, clock=time.monotonic)
        accounts: Accounts[Account] = Accounts(store, guesses=guesses)
        try:
            password_hash = await accounts.hash(password)
        finally:
            accounts.close()
        await store.put_account(Account(name, password_hash, frozenset(options.role)))

    _run(_with_store(settings, put))
    say(f"added {name}" if options.password_stdin else password)
    return 0


def list_users(_: argparse.Namespace, settings: Config) -> int:
    """Show the local accounts and their roles."""
    for account in _run(_with_store(settings, lambda store: store.accounts())):
        say("\t".join((account.user, *sorted(account.roles))))
    return 0


def remove_user(options: argparse.Namespace, settings: Config) -> int:
    """Remove a local account; its sessions end, its memberships and messages stay."""
    if not _run(_with_store(settings, lambda store: store.remove_account(options.name))):
        raise Unusable(f"there is no account {options.name}")
    say(f"removed {options.name}")
    return 0


def _password_from_stdin() -> str:
    password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < _SHORTEST_PASSWORD:
        raise Unusable(f"a password must have at least {_SHORTEST_PASSWORD} characters")
    return password


def issue_token(options: argparse.Namespace, settings: Config) -> int:
    """Print a token that this gateway accepts; this needs a secret in auth.jwt (HS256)."""
    if settings.auth.jwt is None:
        raise ConfigError("auth.jwt is not configured, so the gateway would accept no token")
    now = time.time()
    try:
        token = tokens.issue(
            settings.auth.jwt,
            options.name,
            roles=frozenset(options.role),
            expires_at=now + options.lifetime,
            now=now,
        )
    except ValueError as error:
        raise Unusable(str(error)) from error
    say(token)
    return 0


# The broker


def apply_topology(options: argparse.Namespace, settings: Config) -> int:
    """Declare the private queues of all open rooms, or of those given by --room."""
    return _on_some_node(settings, options.room, provision.apply)


def show_topology(options: argparse.Namespace, settings: Config) -> int:
    """Show whether RabbitMQ has what the gateway needs, without changing anything."""
    return _on_some_node(settings, options.room, provision.verify)


def _on_some_node(
    settings: Config, rooms: list[int] | None, work: Callable[..., Coroutine[Any, Any, list[Check]]]
) -> int:
    """Work on the first node that answers: the cluster's nodes share the topology."""
    broker = settings.broker
    context = tls.for_broker(broker.tls)
    if rooms is None:
        rooms = _run(_with_store(settings, lambda store: store.open_rooms()))
    failures = []
    for node in broker.listed:
        try:
            checks = _run(
                work(
                    node,
                    broker.account,
                    Topology(broker.prefix),
                    rooms=rooms,
                    timeout=broker.dial_timeout,
                    ssl_context=context,
                )
            )
        except LinkFailed as error:
            failures.append(str(error))
        else:
            say(f"{node.name}: {len(rooms)} rooms")
            return _tell(Finding(check.what, check.problem) for check in checks)
    raise Unusable("no node of the cluster can be used:\n  " + "\n  ".join(failures))


# Common parts


async def _with_store(settings: Config, work: Callable[[Store], Awaitable[T]]) -> T:
    store = await Store.open(settings.store.url.get_secret_value())
    # On standard error, because standard output is for the command's answer.
    sys.stderr.write(f"database {store.name}\n")
    try:
        return await work(store)
    finally:
        await store.close()


def _run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def _report(findings: AsyncIterator[Finding]) -> int:
    return max([_tell([finding]) async for finding in findings], default=0)


def _tell(findings: Iterable[Finding]) -> int:
    """Print findings; the exit code says whether there is a problem."""
    code = 0
    for finding in findings:
        if finding.problem is None:
            say(f"ok     {finding.what}")
            continue
        code = 1
        say(f"WRONG  {finding.what}: {finding.problem}")
        if finding.mend is not None:
            say(f"       {finding.mend}")
    return code


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


def say(text: str) -> None:
    """Print a line on standard output at once: a reader may wait for it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
