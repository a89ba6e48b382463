"""Fixtures of all tiers: an event loop that forgives nothing, the broker cluster, PostgreSQL. The
servers start when the first test that needs them runs, and live as long as the session."""

import asyncio
import faulthandler
import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytest
import uvloop
from hypothesis import settings
from tornado.ioloop import IOLoop

from devenv.cluster import Cluster
from devenv.postgres import Postgres
from devenv.session_folder import session_folder
from tests.time_limit import pytest_timeout_cancel_timer, pytest_timeout_set_timer

__all__ = ["pytest_timeout_cancel_timer", "pytest_timeout_set_timer"]

# Machines are busy; how long an example takes says nothing about the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

NewDatabase = Callable[..., str]

_RUN = Path(__file__).parents[1] / ".run"
_NODES = 3
#: Seconds for the tasks that a test leaves to their end; only what never ends takes them.
_LINGER = 20.0
_STDERR = 2
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_received: list[int] = []


def pytest_configure() -> None:
    """End a session that is told to stop (a time limit) as by Ctrl-C, so that servers end too.

    Once: a second signal must not stop half-way what ends them. `scripts/test` sends one to
    sessions that have been given Ctrl-C by the terminal.
    """

    def disregard(number: int, frame: FrameType | None) -> None:
        pass

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        for each in _SIGNALS:
            signal.signal(each, disregard)
        _received.append(number)
        raise KeyboardInterrupt

    for each in _SIGNALS:
        signal.signal(each, interrupt)
    # `scripts/test` asks a session that hangs what it does.
    # Standard error as it is now: pytest replaces it during a test.
    faulthandler.register(signal.SIGUSR1, file=os.dup(_STDERR))


def pytest_runtest_setup() -> None:
    """Begin no test after a signal: the test before may have swallowed the exception."""
    if _received:
        raise KeyboardInterrupt


class _Collector(logging.Handler):
    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.CRITICAL)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.append(record.getMessage())


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[str]]:
    """The logged failures of this process's background work. A test that means it to
    fail takes this and clears it; for all others it must stay empty."""
    messages: list[str] = []
    collector = _Collector(messages)
    logger = logging.getLogger("broker.timing.tasks")
    logger.addHandler(collector)
    yield messages
    logger.removeHandler(collector)
    assert not messages, "background work has failed; the captured log says how"


@pytest.fixture
def io_loop() -> Iterator[IOLoop]:
    """The loop of pytest-tornado's `gen_test`, on uvloop as in production.

    Fails the test for an exception in a callback or a task that nobody awaited, for a task that is
    still there `_LINGER` seconds after the test, and for a connection that is still open.
    """
    loop = uvloop.new_event_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    asyncio.set_event_loop(loop)
    tornado_loop = IOLoop(make_current=False, asyncio_loop=loop)
    yield tornado_loop
    leaked: set[asyncio.Task[Any]] = set()
    if running := asyncio.all_tasks(loop):
        _, leaked = loop.run_until_complete(asyncio.wait(running, timeout=_LINGER))
    for task in leaked:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*leaked, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    asyncio.set_event_loop(None)
    # A warning that is an error keeps uvloop from closing what it warns of, and then it waits for
    # ever until that is closed.
    with warnings.catch_warnings(record=True) as unclosed:
        warnings.simplefilter("always", ResourceWarning)
        tornado_loop.close(all_fds=True)
    assert not leaked, f"tasks left running: {leaked}"
    assert not complaints, f"exceptions that nobody caught: {complaints}"
    assert not unclosed, f"left open: {[str(each.message) for each in unclosed]}"


@pytest.fixture(scope="session")
def progress(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Says what the set-up is doing, past pytest's capture."""
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")
    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")

    def say(text: str) -> None:
        if capture is None or reporter is None:
            return
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(f"[set-up] {text}")

    return say


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """The folder for the files of this session's servers."""
    with session_folder(_RUN) as folder:
        yield folder


@pytest.fixture(scope="session")
def cluster_of_session(server_folder: Path, progress: Callable[[str], None]) -> Iterator[Cluster]:
    """Three broker nodes; tests take `cluster`, which mends and empties it after each of them."""
    cluster = Cluster(server_folder / "cluster", _NODES, progress=progress)
    cluster.destroy()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()


@pytest.fixture
def cluster(cluster_of_session: Cluster) -> Iterator[Cluster]:
    """Three broker nodes, all of them up, without a queue. The test may break them."""
    yield cluster_of_session
    cluster_of_session.mend()


@pytest.fixture(scope="session")
def postgres(server_folder: Path, progress: Callable[[str], None]) -> Iterator[Postgres]:
    """A PostgreSQL server of this session's own. A test that stops it starts it again."""
    server = Postgres(server_folder, progress=progress)
    try:
        server.start()
        yield server
    finally:
        server.destroy()


@pytest.fixture(scope="session")
def _database_numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def new_database(postgres: Postgres, _database_numbers: Iterator[int]) -> Iterator[NewDatabase]:
    """Makes a database for this test, empty or `like` another one: `postgresql+asyncpg://…`."""
    with ExitStack() as stack:

        def make(*, like: str | None = None) -> str:
            name = f"test_{next(_database_numbers)}"
            postgres.create_database(name, like=like)
            stack.callback(postgres.drop_database, name)
            return postgres.url(name)

        yield make


@pytest.fixture
def postgres_url(new_database: NewDatabase) -> str:
    """An empty database of this test's own."""
    return new_database()
