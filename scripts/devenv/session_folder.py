"""A folder for one test session, so that sessions in one checkout do not disturb each other."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path


@contextmanager
def session_folder(parent: Path) -> Iterator[Path]:
    """The first of `parent`/test-1, test-2, … that no living session holds.

    It may hold what a killed session left behind, its processes included: whoever starts
    something in it removes that first.
    """
    parent.mkdir(parents=True, exist_ok=True)
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
