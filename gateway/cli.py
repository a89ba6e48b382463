"""The command line: ``gateway <command>``.

Exit codes: 0 fine; 1 it did not work; 2 the command or the configuration is wrong. What goes wrong
is told in a line on standard error, without a traceback.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import uvloop
from pydantic import BaseModel, SecretStr

from gateway import config, logs
from gateway.auth import tokens
from gateway.auth.accounts import Accounts
from gateway.auth.names import user_name
from gateway.config import CONFIG_VARIABLE, Config, ConfigError, StartError
from gateway.domain.identity import ADMIN, HOST
from gateway.errors import GatewayError
from gateway.store import Account, Store

DEFAULT_CONFIG: Final = "conf/gateway.toml"
_SHORTEST_PASSWORD: Final = 8

T = TypeVar("T")
Command = Callable[[argparse.Namespace, Config], int]


class Unusable(Exception):
    """The command cannot be carried out as given; the text says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = config.load(options.config)
        logs.set_up(settings.log, known_secrets=config.secrets_of(settings), stream=sys.stderr)
        command: Command = options.command
        return command(options, settings)
    except ConfigError as error:
        return _complain(str(error), code=2)
    except (Unusable, StartError) as error:
        return _complain(str(error), code=1)
    except GatewayError as error:
        return _complain(error.detail, code=1)
    except KeyboardInterrupt:
        return 130


def serve(_: argparse.Namespace, settings: Config) -> int:
    """Run the gateway until it is told to stop."""
    # Everything else must work where a part of serving cannot even be imported.
    from gateway.main import serve as run  # noqa: PLC0415

    _run(run(settings))
    return 0


def check_config(_: argparse.Namespace, settings: Config) -> int:
    """Show the configuration that is in force."""
    for line in _lines(settings):
        _say(line)
    return 0


def add_user(options: argparse.Namespace, settings: Config) -> int:
    """Make a local account; without --password-stdin a password is made up and printed."""
    if options.password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        if len(password) < _SHORTEST_PASSWORD:
            raise Unusable(f"a password has {_SHORTEST_PASSWORD} characters or more")
    else:
        password = secrets.token_urlsafe(15)
    _run(_put_account(settings, options, password))
    _say(f"added {options.name}" if options.password_stdin else password)
    return 0


def list_users(_: argparse.Namespace, settings: Config) -> int:
    """Show the local accounts and their roles."""
    for account in _run(_with_store(settings, lambda store: store.accounts())):
        _say("\t".join((account.user, *sorted(account.roles))))
    return 0


def remove_user(options: argparse.Namespace, settings: Config) -> int:
    """Remove a local account; its memberships and messages stay."""
    if not _run(_with_store(settings, lambda store: store.remove_account(options.name))):
        raise Unusable(f"there is no account {options.name}")
    _say(f"removed {options.name}")
    return 0


def issue_token(options: argparse.Namespace, settings: Config) -> int:
    """Print a token that this gateway accepts; only where auth.jwt has a secret (HS256)."""
    if settings.auth.jwt is None:
        raise ConfigError("auth.jwt: not configured, so no token would be accepted")
    now = time.time()
    try:
        token = tokens.issue(
            settings.auth.jwt,
            options.user,
            roles=frozenset(options.role),
            expires_at=now + options.lifetime,
            now=now,
        )
    except ValueError as error:
        raise Unusable(str(error)) from error
    _say(token)
    return 0


async def _put_account(settings: Config, options: argparse.Namespace, password: str) -> None:
    try:
        name = user_name(options.name)
    except ValueError as error:
        raise Unusable(str(error)) from error

    async def put(store: Store) -> None:
        if not options.replace and await store.account(name) is not None:
            raise Unusable(f"{name} has an account already; --replace changes it")
        accounts: Accounts[Account] = Accounts(store)
        try:
            password_hash = await accounts.hash(password)
        finally:
            accounts.close()
        await store.put_account(Account(name, password_hash, frozenset(options.role)))

    await _with_store(settings, put)


async def _with_store(settings: Config, work: Callable[[Store], Awaitable[T]]) -> T:
    store = await Store.open(settings.store.url.get_secret_value())
    try:
        return await work(store)
    finally:
        await store.close()


def _run(work: Awaitable[T]) -> T:
    async def as_coroutine() -> T:
        return await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(as_coroutine())


def _lines(table: BaseModel, path: str = "") -> Iterator[str]:
    """``key = value`` for each key in force, secrets hidden."""
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
            # Of a URL all but the password may be seen.
            url = value.get_secret_value()
            yield f"{key} = {redact(url)!r}" if "://" in url else f"{key} = ***"
        else:
            shown = str(value) if isinstance(value, Path) else value
            yield f"{key} = {list(shown) if isinstance(shown, tuple) else shown!r}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway", description=__doc__)
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG)),
        help=f"the configuration file (default: ${CONFIG_VARIABLE}, else {DEFAULT_CONFIG})",
    )
    commands = parser.add_subparsers(metavar="command", required=True)
    _add(commands, "serve", serve)
    _add(commands, "check-config", check_config)

    users = commands.add_parser("user", help="Local accounts.").add_subparsers(
        metavar="command", required=True
    )
    adding = _add(users, "add", add_user)
    adding.add_argument("name")
    _add_roles(adding)
    adding.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )
    adding.add_argument(
        "--replace", action="store_true", help="give an existing account this password and roles"
    )
    _add(users, "list", list_users)
    _add(users, "remove", remove_user).add_argument("name")

    issuing = _add(commands, "token", issue_token)
    issuing.add_argument("--user", required=True)
    _add_roles(issuing)
    issuing.add_argument(
        "--lifetime", type=float, default=3600.0, metavar="SECONDS", help="(default: an hour)"
    )
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Command,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
    parser.set_defaults(command=command)
    return parser


def _add_roles(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--role",
        action="append",
        default=[],
        help=f"a system role, e.g. {HOST} (may create rooms) or {ADMIN}; may be given again",
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _complain(text: str, *, code: int) -> int:
    sys.stderr.write(f"gateway: {text}\n")
    return code
