"""One run of some tests against one version of a module, in a process of its own.

The process is forked from one that has imported pytest and the libraries, which saves most of what
a run takes. The changed source is given to the import system; no file is written, so that a run
which is broken off leaves the checkout as it was.
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
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

#: Imported before the first fork. None of them may import the modules that are changed.
_LIBRARIES: Final = (
    "_hypothesis_pytestplugin",
    "devenv.cluster",
    "devenv.postgres",
    "devenv.session_folder",
    "hypothesis",
    "pytest",
    "pytest_timeout",
    "pytest_tornado.plugin",
    "tornado.httpserver",
    "tornado.ioloop",
    "tornado.websocket",
    "uvloop",
    "aiormq",
    "cachetools",
    "jwt",
    "pydantic_settings",
    "sqlalchemy.ext.asyncio",
)
#: Bytes that a mutant may use which grows for ever.
_MEMORY: Final = 2 * 1024**3
_LOOK: Final = 0.01


class Outcome(Enum):
    """``UNTESTED``: pytest could not run the tests at all."""

    KILLED = "killed"
    SURVIVED = "survived"
    TIMEOUT = "timeout"
    UNTESTED = "untested"


def import_libraries() -> None:
    """Once, before the first :func:`run`."""
    with warnings.catch_warnings():
        # pytest-tornado needs pkg_resources.
        warnings.simplefilter("ignore")
        for name in _LIBRARIES:
            importlib.import_module(name)
    # What is here already is no garbage, and is not looked through again in every child.
    gc.freeze()


def run(
    tests: Sequence[str], *, within: float, root: Path, change: Change | None = None
) -> Outcome:
    """Run the tests until one fails; ``within`` so many seconds."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            status = _run_tests(tests, root, change)
        finally:
            os._exit(status)
    return _wait(child, within)


class Change(MetaPathFinder):
    """A module whose source is another one than that of its file."""

    def __init__(self, path: Path, name: str, source: str) -> None:
        self._loader = _Loader(name, str(path), source)
        self._name = name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return spec_from_loader(fullname, self._loader) if fullname == self._name else None


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec", dont_inherit=True)


def _run_tests(tests: Sequence[str], root: Path, change: Change | None) -> int:
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    os.chdir(root)
    if change is not None:
        sys.meta_path.insert(0, change)
    import pytest  # noqa: PLC0415 - after the fork it costs nothing

    # What was imported before pytest began cannot be rewritten, nor need it be.
    return pytest.main(
        [
            *("--exitfirst", "--quiet", "--no-header", "--no-summary"),
            *("-p", "no:cacheprovider", "-p", "no:unraisableexception"),
            *("-p", "mutant_suite.few_examples"),
            *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
            *tests,
        ]
    )


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
        case _:
            # Also pytest's 2, which is what a module that cannot be imported comes to.
            return Outcome.KILLED
