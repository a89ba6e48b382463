"""The command line: ``gateway [--config FILE] COMMAND``.

Without ``--config`` and ``$GATEWAY_CONFIG`` the configuration is :data:`HERE`, or else
:data:`IN_CONF` below the working directory.

Exit codes: 0: success; 1: the command failed; 2: the command or the configuration is wrong. Errors
are printed as one line on standard error, without a traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway import config
from gateway.cli import backups, commands, endings, erasures, initial, parked, topology, version
from gateway.cli.findings import say
from gateway.cli.running import Unusable, WrongOptions
from gateway.config import CONFIG_VARIABLE, Config, ConfigError, StartError
from gateway.domain.identity import ADMIN, HOST, OBSERVER
from gateway.errors import GatewayError
from gateway.observe import log_stream, logs

HERE: Final = Path("gateway.toml")
IN_CONF: Final = Path("conf/gateway.toml")

Command = Callable[[argparse.Namespace, Config], int]
_Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse gives its type no public name


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = command_parser().parse_args(arguments)
    # The output of the other commands is for people.
    serves = options.command is commands.serve
    if not serves:
        return _carry_out(options)
    with log_stream.off_the_loop(), logs.of_everything():
        try:
            return _carry_out(options)
        finally:
            logs.end()


def _carry_out(options: argparse.Namespace) -> int:
    try:
        if options.command is initial.write:
            return _begin(options)
        command: Command = options.command
        options.config = options.config or _found()
        settings = config.load(options.config)
        logs.set_up(settings.log, known_secrets=config.secrets_of(settings), stream=sys.stderr)
        return command(options, settings)
    except (ConfigError, WrongOptions) as error:
        return _complain(str(error), code=2)
    except (Unusable, StartError) as error:
        return _complain(str(error), code=1)
    except GatewayError as error:
        return _complain(str(error), code=1)
    except BrokenPipeError:
        # The reader has closed the pipe (| head). Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _begin(options: argparse.Namespace) -> int:
    """The one command that needs no configuration."""
    return initial.write(options, options.config or HERE)


def _named() -> Path | None:
    name = os.environ.get(CONFIG_VARIABLE)
    return Path(name) if name else None


def _found() -> Path:
    """The configuration in the working directory."""
    if HERE.exists():
        return HERE
    if not IN_CONF.exists():
        raise ConfigError(
            f"there is no {HERE} here, and no {IN_CONF}: `gateway init` writes one, --config or"
            f" ${CONFIG_VARIABLE} names another"
        )
    return IN_CONF


class _Version(argparse.Action):
    """Shows the version. Unlike argparse's own, it looks only when it is asked, and breaks no
    lines."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        say(version.described())
        parser.exit()


def command_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="gateway", description="Real-time web messaging in front of RabbitMQ."
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=_named(),
        help=f"the configuration (default: ${CONFIG_VARIABLE}, else {HERE}, else {IN_CONF})",
    )
    parser.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        help="show the version, the commit and the libraries, and end",
    )
    top = parser.add_subparsers(metavar="COMMAND", required=True)
    beginning = top.add_parser("init", help=initial.HELP, description=initial.HELP)
    beginning.set_defaults(command=initial.write)
    beginning.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="URL",
        help="where browsers find the pages, e.g. https://school.example; may be given again",
    )
    _add(top, "serve", commands.serve)
    _add(top, "check-config", commands.check_config)
    _add(top, "migrate", commands.migrate)
    _add_administrator(_add(top, "doctor", commands.diagnose))

    for name, copy in (("backup", backups.save), ("restore", backups.bring_back)):
        _add(top, name, copy).add_argument("file", type=Path, metavar="FILE")

    _add_users(top)

    issuing = _add(top, "token", commands.issue_token)
    issuing.add_argument("name", metavar="NAME")
    _add_roles(issuing)
    issuing.add_argument(
        "--lifetime", type=float, default=3600.0, metavar="SECONDS", help="(default: an hour)"
    )
    issuing.add_argument("--issuer", help="(default: the first that has a secret)")

    revoking = _add(top, "revoke", endings.revoke)
    claim = revoking.add_mutually_exclusive_group(required=True)
    claim.add_argument("--jti", metavar="ID", help="one token")
    claim.add_argument(
        "--sub", metavar="SUBJECT", help="the tokens of this subject that were issued until now"
    )
    _add_terms(revoking)

    erasing = _group(top, "erase", "Deletion by request (privacy), and the record of it.")
    for name, erase in (("room", erasures.erase_room), ("user", erasures.erase_user)):
        ordering = _add(erasing, name, erase)
        if name == "room":
            ordering.add_argument("room", metavar="NUMBER", type=int)
        else:
            ordering.add_argument("name", metavar="NAME")
            ordering.add_argument("--room", metavar="NUMBER", type=int, help="only in this room")
        ordering.add_argument("--reason", default="", metavar="TEXT", help="for the record")
    _add(erasing, "list", erasures.show)

    parking = _group(top, "parked", "Messages that were too large for hosts, kept in RabbitMQ.")
    _add(parking, "list", parked.show)
    saving = _add(parking, "save", parked.save)
    saving.add_argument("id", metavar="ID")
    saving.add_argument("file", type=Path, metavar="FILE")
    for name, settle in (("put-back", parked.put_back), ("drop", parked.drop)):
        settling = _add(parking, name, settle)
        settling.add_argument("ids", nargs="*", metavar="ID")
        settling.add_argument("--all", action="store_true", help="every message that is parked")

    topologies = _group(top, "topology", "What the gateway needs in RabbitMQ.")
    applying = _add(topologies, "apply", topology.apply)
    applying.add_argument("--dry-run", action="store_true", help="only say what would be done")
    for command in (applying, _add(topologies, "show", topology.show)):
        command.add_argument(
            "--room", type=int, action="append", metavar="NUMBER", help="only this room's queue"
        )
        _add_administrator(command)
    return parser


def _add_users(top: _Commands[argparse.ArgumentParser]) -> None:
    users = _group(top, "user", "Local accounts.")
    adding = _add(users, "add", commands.add_user)
    adding.add_argument("name", metavar="NAME")
    _add_roles(adding)
    adding.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )
    adding.add_argument(
        "--replace", action="store_true", help="give an existing account this password and roles"
    )
    adding.add_argument(
        "--display-name", metavar="TEXT", help="what pages show beside the user's name"
    )
    showing = _add(users, "show-as", commands.show_user_as)
    showing.add_argument("name", metavar="NAME")
    showing.add_argument("display_name", metavar="TEXT", nargs="?")
    importing = _add(users, "import", commands.import_users)
    importing.add_argument("file", metavar="FILE", type=Path)
    importing.add_argument(
        "--replace", action="store_true", help="replace accounts that exist already"
    )
    importing.add_argument(
        "--dry-run", action="store_true", help="only say what would be done, line by line"
    )
    importing.add_argument(
        "--slips", type=Path, metavar="FILE.html", help="write a page of log-in slips to print"
    )
    importing.add_argument(
        "--address", metavar="URL", help="where people log in, for the slips and their QR codes"
    )
    _add(users, "list", commands.list_users)
    _add(users, "remove", commands.remove_user).add_argument("name", metavar="NAME")
    _add(users, "sessions", endings.show_sessions).add_argument("name", metavar="NAME")
    ending = _add(users, "end", endings.end_user)
    ending.add_argument("name", metavar="NAME")
    _add_terms(ending)
    _add(users, "admit", endings.admit_user).add_argument("name", metavar="NAME")
    _add(users, "ended", endings.show_revocations)

    names = _group(top, "names", "User names that are not in their one form (RFC 8265).")
    _add(names, "list", commands.list_names)
    giving = _add(names, "give", commands.give_name)
    giving.add_argument("old", metavar="OLD")
    giving.add_argument("new", metavar="NEW")


def _add_administrator(parser: argparse.ArgumentParser) -> None:
    """The login for what the gateway's own account may not do or see."""
    group = parser.add_argument_group(
        "an administrator of RabbitMQ",
        "Policies are set and read through RabbitMQ's management API. The login is used once and"
        " stored nowhere.",
    )
    group.add_argument("--admin", metavar="NAME", help="a user with the tag administrator")
    group.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from standard input instead of asking for it",
    )
    group.add_argument(
        "--management",
        metavar="URL",
        action="append",
        help="the management API of a node, http[s]://host:port; may be given again (default: at"
        " each node's AMQP host, port 15672, or 15671 with TLS)",
    )


def _group(
    parent: _Commands[argparse.ArgumentParser], name: str, text: str
) -> _Commands[argparse.ArgumentParser]:
    return parent.add_parser(name, help=text, description=text).add_subparsers(
        metavar="COMMAND", required=True
    )


def _add(
    parent: _Commands[argparse.ArgumentParser], name: str, command: Command
) -> argparse.ArgumentParser:
    parser = parent.add_parser(name, help=command.__doc__, description=command.__doc__)
    parser.set_defaults(command=command)
    return parser


def _add_terms(parser: argparse.ArgumentParser) -> None:
    until = parser.add_mutually_exclusive_group()
    until.add_argument(
        "--until",
        type=_moment,
        metavar="TIME",
        help="and keep out until then, e.g. 2026-11-30T12:00Z",
    )
    until.add_argument("--minutes", type=float, metavar="N", help="and keep out for so long")
    parser.add_argument("--reason", default="", metavar="TEXT", help="what the user is told")


def _moment(text: str) -> datetime:
    """A time with its zone; without one, it is this machine's. ``ValueError``: it is none."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _add_roles(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--role",
        action="append",
        default=[],
        help=f"a system role, e.g. {HOST} (may create rooms), {ADMIN}, or {OBSERVER} (sees the"
        " dashboard, and gives no orders); may be given again",
    )


def _complain(text: str, *, code: int) -> int:
    sys.stderr.write(f"gateway: {text}\n")
    return code
