"""The gateway's tables, made once: the migrations take longer than most tests."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.store import Store

SqliteTables = Callable[[Path], None]


def make_tables(url: str) -> None:
    """Apply all migrations to the database."""

    async def open_once() -> None:
        await (await Store.open(url, migrate=True)).close()

    # The loop of the test that is being set up stays the current one.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(open_once())


@pytest.fixture(scope="session")
def sqlite_tables(tmp_path_factory: pytest.TempPathFactory) -> SqliteTables:
    """Makes a file that is a database with the gateway's tables, and nothing in them."""
    made = tmp_path_factory.mktemp("tables") / "interact.db"
    make_tables(f"sqlite:///{made}")

    def copy(to: Path) -> None:
        shutil.copy(made, to)

    return copy
