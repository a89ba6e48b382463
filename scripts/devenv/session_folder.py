"""A folder for one test session, so that sessions in one checkout do not disturb each other."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from devenv.daemon import kill_under


@contextmanager
def session_folder(parent: Path) -> Iterator[Path]:
    """The first folder of `parent`/test-1, test-2, … that no living session holds.

    Processes of killed sessions are ended first; their files may still be there.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for path in parent.glob("test-*.lock"):
        _end_what_nobody_holds(path)
    for number in count(1):
        with (parent / f"test-{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            folder = parent / f"test-{number}"
            folder.mkdir(exist_ok=True)
            yield folder
            return


def _end_what_nobody_holds(path: Path) -> None:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        kill_under(path.with_suffix("").resolve())
