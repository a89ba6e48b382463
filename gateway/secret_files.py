"""Secrets that stand in files of their own: a key ``x_file`` beside a key ``x``, and systemd's
credentials.

No text shows what is in a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final, get_origin

from pydantic import BaseModel

from gateway.config_faults import table_of

#: The variable by which systemd names the folder of the unit's credentials.
#: https://systemd.io/CREDENTIALS/
DIRECTORY_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
#: The bytes of a file at most: five versions of a secret, or a URL, are far below.
MOST: Final = 64 * 1024
_SUFFIX: Final = "_file"
#: From where relative paths are taken, while a configuration is read.
_FOLDER: ContextVar[Path | None] = ContextVar("folder of relative paths", default=None)


class UnreadableCredential(Exception):
    """A credential of systemd cannot be read; the text names the file."""


@contextmanager
def relative_to(folder: Path | None) -> Iterator[None]:
    """A block in which relative paths start at ``folder``; None: at the working directory."""
    token = _FOLDER.set(folder)
    try:
        yield
    finally:
        _FOLDER.reset(token)


def pairs(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """The keys of a table that may come from files: (``x``, ``x_file``)."""
    for name in model.model_fields:
        if name + _SUFFIX in model.model_fields:
            yield name, name + _SUFFIX


def filled(model: type[BaseModel], table: Mapping[str, Any]) -> dict[str, Any]:
    """The table with the secrets that its files hold. Raises :class:`ValueError`."""
    whole = dict(table)
    for key, file in pairs(model):
        path = whole.get(file)
        if not isinstance(path, (str, Path)):
            continue
        if whole.get(key) is not None:
            raise ValueError(f"{key} and {file} are both given: leave one out")
        try:
            whole[key] = read((_FOLDER.get() or Path()) / path)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from None
    return whole


def read(path: Path) -> str | tuple[str, ...]:
    """The secret in a file: its line, without the line's end; or its lines, if there are several.

    Raises :class:`ValueError`, whose text names the file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST + 1)
    except (OSError, ValueError) as error:
        # A path with a null byte is a ValueError.
        why = getattr(error, "strerror", None) or "it is no path"
        raise ValueError(f"{path} cannot be read: {why}") from None
    if len(data) > MOST:
        raise ValueError(f"{path} has more than {MOST} bytes, which is no secret")
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8") from None
    if not any(lines):
        raise ValueError(f"{path} is empty")
    return lines[0] if len(lines) == 1 else tuple(lines)


def laid_over(table: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both tables in one; ``over`` comes first. A secret that it gives by a file takes the place of
    one that ``table`` gives itself, and the other way round."""
    whole = dict(table)
    for name, value in over.items():
        whole.pop(name.removesuffix(_SUFFIX) if name.endswith(_SUFFIX) else name + _SUFFIX, None)
        inner = whole.get(name)
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            whole[name] = laid_over(inner, value)
        else:
            whole[name] = value
    return whole


def credentials(model: type[BaseModel]) -> dict[str, Any]:
    """The secrets among systemd's credentials: each in a file that has the key's name, for example
    ``broker.password``. Other files are left alone. Raises :class:`UnreadableCredential`."""
    folder = os.environ.get(DIRECTORY_VARIABLE)
    found: dict[str, Any] = {}
    if not folder:
        return found
    for key in secret_keys(model):
        path = Path(folder) / key
        if not path.is_file():
            continue
        *tables, name = key.split(".")
        table = found
        for each in tables:
            table = table.setdefault(each, {})
        try:
            table[name] = read(path)
        except ValueError as error:
            raise UnreadableCredential(str(error)) from None
    return found


def secret_keys(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """The keys of secrets, with their tables; not those in lists of tables."""
    for name, _ in pairs(model):
        yield f"{path}{name}"
    for name, field in model.model_fields.items():
        table = table_of(field.annotation)
        if table is not None and get_origin(field.annotation) is not tuple:
            yield from secret_keys(table, f"{path}{name}.")
