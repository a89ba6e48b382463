"""Trials: some tests, run against several versions of a module, each in a process of its own.

pytest is started once and forks before it collects the tests, so that a trial imports the changed
module and its tests and nothing else. The changed source is given to the import system: no file is
written, and a run which is broken off leaves the checkout as it was.
"""

from __future__ import annotations

import gc
import importlib
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    import pytest

#: Imported before the first fork. None of them may import the modules that are changed.
_LIBRARIES: Final = (
    "_hypothesis_pytestplugin",
    "aiormq",
    "cachetools",
    "cryptography.x509",
    "devenv.cluster",
    "devenv.postgres",
    "devenv.session_folder",
    "hypothesis",
    "hypothesis.stateful",
    "jwt",
    "pydantic_settings",
    "pytest",
    "pytest_timeout",
    "pytest_tornado.plugin",
    "sqlalchemy.ext.asyncio",
    "tornado.httpserver",
    "tornado.ioloop",
    "tornado.websocket",
    "uvloop",
)
#: Bytes that a mutant may use which grows for ever.
_MEMORY: Final = 2 * 1024**3
_LOOK: Final = 0.01
#: Exit status of a trial that could not begin.
_NOT_BEGUN: Final = 70


class Outcome(Enum):
    """The result of the tests on one mutant.

    ``UNTESTED``: pytest could not run the tests at all.
    """

    KILLED = "killed"
    SURVIVED = "survived"
    TIMEOUT = "timeout"
    UNTESTED = "untested"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a trial may take before it is a timeout: ``cpu_seconds`` is for a mutant that never
    ends, ``seconds`` for one that waits for ever, on a machine that may be busy."""

    seconds: float
    cpu_seconds: int


class Change(MetaPathFinder):
    """A module whose source is another one than that of its file."""

    def __init__(self, path: Path, name: str, source: str) -> None:
        self.name = name
        self._loader = _Loader(name, str(path), source)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return spec_from_loader(fullname, self._loader) if fullname == self.name else None


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec", dont_inherit=True)


def import_libraries() -> None:
    """Once, before the first trial."""
    with warnings.catch_warnings():
        # pytest-tornado needs pkg_resources.
        warnings.simplefilter("ignore")
        for name in _LIBRARIES:
            importlib.import_module(name)
    # What is here already is no garbage, and is not looked through again in every child.
    gc.freeze()


def outcomes(
    changes: Sequence[Change], tests: Sequence[str], *, limits: Limits, root: Path
) -> Iterator[Outcome]:
    """The outcome of each change in turn: the tests run until one fails. Ends early if pytest
    cannot even start."""
    reader, writer = os.pipe()
    server = os.fork()
    if server == 0:
        try:
            os.close(reader)
            _serve(_Trials(changes, limits, writer), tests, root)
        finally:
            os._exit(_NOT_BEGUN)
    os.close(writer)
    try:
        with open(reader) as lines:  # noqa: PTH123 - a descriptor
            for line in lines:
                yield Outcome[line.strip()]
    finally:
        # A trial under way ends by its limits.
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)


def _serve(trials: _Trials, tests: Sequence[str], root: Path) -> NoReturn:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.chdir(root)
    import pytest  # noqa: PLC0415 - imported already

    status = pytest.main(
        [
            *("--exitfirst", "--quiet", "--no-header", "--no-summary"),
            *("-p", "no:cacheprovider", "-p", "no:unraisableexception"),
            *("-p", "mutant_suite.few_examples"),
            # What was imported before pytest began cannot be rewritten, nor need it be.
            *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
            *tests,
        ],
        plugins=[trials],
    )
    os._exit(status)


class _Trials:
    """A pytest plugin. Where the tests would be collected it forks once for each change; only the
    children go on from there. Writes the outcomes to a descriptor, a name a line."""

    def __init__(self, changes: Sequence[Change], limits: Limits, writer: int) -> None:
        self._changes = changes
        self._limits = limits
        self._writer = writer

    def pytest_collection(self, session: pytest.Session) -> None:
        for change in self._changes:
            child = os.fork()
            if child == 0:
                self._begin(change)
                return
            outcome = _wait(child, self._limits.seconds)
            os.write(self._writer, f"{outcome.name}\n".encode())
        os._exit(0)

    def _begin(self, change: Change) -> None:
        os.setsid()
        os.close(self._writer)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (self._limits.cpu_seconds,) * 2)
        if change.name in sys.modules:
            os._exit(_NOT_BEGUN)
        sys.meta_path.insert(0, change)


def _wait(child: int, within: float) -> Outcome:
    until = time.monotonic() + within
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > until:
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return Outcome.TIMEOUT
        time.sleep(_LOOK)
    match os.waitstatus_to_exitcode(status):
        case 0:
            return Outcome.SURVIVED
        case 3 | 4 | 5 | 70:
            return Outcome.UNTESTED
        case code if code in (-signal.SIGXCPU, -signal.SIGKILL):
            return Outcome.TIMEOUT
        case _:
            # Also pytest's 2, which is what a module that cannot be imported comes to.
            return Outcome.KILLED
