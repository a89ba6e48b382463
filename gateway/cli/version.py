"""The answer of ``gateway --version``: the version, the commit, and the libraries that decide."""

from __future__ import annotations

import platform
import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

#: ``scripts/package`` writes it into the wheel.
_COMMIT: Final = Path(__file__).parent.parent / "commit"
_LIBRARIES: Final = (
    *("tornado", "uvloop", "aiormq", "SQLAlchemy", "alembic", "asyncpg"),
    *("pydantic", "PyJWT", "cryptography"),
)


def described() -> str:
    """Lines to put into a report of a fault."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    commit = "in a checkout"
    with suppress(OSError):
        commit = f"commit {_COMMIT.read_text(encoding='utf-8').strip()}"
    yield f"interact-gateway {_version('interact-gateway')} ({commit})"
    yield f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}"
    yield f"SQLite {sqlite3.sqlite_version}"
    for name in _LIBRARIES:
        yield f"{name} {_version(name)}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
