"""The commands that copy the database away, and back."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from gateway import secret_files
from gateway.cli.findings import say
from gateway.cli.running import Unusable
from gateway.config import CONFIG_VARIABLE, ENVIRONMENT_PREFIX, Config
from gateway.database_url import PostgresServer, SqliteFile, parse
from gateway.store import backup, schema

_PG_DUMP: Final = (
    "PostgreSQL has tools of its own, which work while gateways serve: pg_dump --format=custom"
    " --file={file} {name}; the way back, into an empty database: pg_restore --single-transaction"
    " --dbname={name} {file} (docs/how-to/backup.md)"
)


def save(options: argparse.Namespace, settings: Config) -> int:
    """Copy the database into FILE, while gateways serve, and check the copy; say what else a backup
    needs."""
    database = _file(settings, options.file)
    try:
        contents = backup.copy(database, options.file)
    except backup.Unfit as error:
        raise Unusable(str(error)) from error
    say(f"wrote and checked {options.file.absolute()}: {contents}")
    say("it has all rooms, messages, accounts and sessions. Not in it, and needed with it:")
    for line in _beside(options.config, settings):
        say(f"  {line}")
    return 0


def bring_back(options: argparse.Namespace, settings: Config) -> int:
    """Make the database of the configuration from FILE, which is checked first. A database that
    exists is left alone: move it away, after the gateway has stopped."""
    database = _file(settings, options.file)
    try:
        state = backup.check(options.file).state
        if state.fit is schema.Fit.TOO_NEW:
            raise Unusable(
                f"{options.file} is {state}, which this version cannot use: install the version"
                " that has made it"
            )
        contents = backup.copy(options.file, database)
    except backup.Unfit as error:
        raise Unusable(str(error)) from error
    say(f"wrote and checked {database}: {contents}")
    if state.fit is schema.Fit.OLDER:
        say("its tables are of an older version: run `gateway migrate`")
    return 0


def _file(settings: Config, other: Path) -> Path:
    where = parse(settings.store.url.get_secret_value())
    match where:
        case SqliteFile():
            return Path(where.path)
        case PostgresServer():
            raise Unusable(_PG_DUMP.format(file=other, name=where.name))


def _beside(config: Path, settings: Config) -> Iterator[str]:
    """Everything that makes a gateway besides its database: by name, never by value."""
    yield f"the configuration {config.absolute()}"
    for key, path in _paths(settings):
        yield f"{key}: {path}"
    for name in sorted(os.environ):
        if name.startswith(ENVIRONMENT_PREFIX) and name != CONFIG_VARIABLE:
            yield f"the variable {name}"
    folder = os.environ.get(secret_files.DIRECTORY_VARIABLE)
    for key in secret_files.secret_keys(Config):
        if folder and (Path(folder) / key).is_file():
            yield f"systemd's credential {key}"
    yield "RabbitMQ's accounts and policies (rabbitmqctl export_definitions)"


def _paths(table: BaseModel, path: str = "") -> Iterator[tuple[str, Path]]:
    for name in type(table).model_fields:
        value = getattr(table, name)
        entries = value if isinstance(value, tuple) else (value,)
        for entry in entries:
            if isinstance(entry, Path):
                yield f"{path}{name}", entry
            elif isinstance(entry, BaseModel):
                yield from _paths(entry, f"{path}{name}.")
