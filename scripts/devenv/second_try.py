"""The choice of failed tests that are tried once more, and pytest's own list of failed tests.

Only tests that work with real processes, and only a few: the acceptance tier kills and hangs
RabbitMQ nodes, and RabbitMQ 3.10 does not always put itself together again (partitions that stay,
queues without a leader), and the store's tests give a real database fractions of a second on a disk
that others use, too. The second try runs on a cluster of its own; a test that passes then is
named, so that nobody overlooks it.
"""

import json
from collections.abc import Iterable
from pathlib import Path

#: More failures than this are no bad luck: a faulty change breaks more, and on a busy machine about
#: one test in two thousand has failed of itself. A small run may have a few all the same.
FEW, ONE_IN = 5, 1_000
_PROCESSES = ("tests/acceptance/", "tests/integration/process/", "tests/integration/store/")
_LAST_FAILED = Path("v/cache/lastfailed")


def failed(cache: Path) -> list[str]:
    """The tests that failed in the session that had `cache` as its cache_dir."""
    try:
        return list(json.loads((cache / _LAST_FAILED).read_text()))
    except FileNotFoundError:
        return []


def remember(cache: Path, names: Iterable[str]) -> None:
    """Write `names` into `cache` as the tests that failed last (`--last-failed`)."""
    file = cache / _LAST_FAILED
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(dict.fromkeys(names, True), indent=2))


def candidates(names: list[str], *, of: int) -> list[str]:
    """The failed tests of `names` that deserve a second try, after a run `of` so many tests.

    Other failed tests do not prevent it: the run stays red because of them, and after the second
    try it is known which failures remain.
    """
    if len(names) > max(FEW, of // ONE_IN):
        return []
    return [name for name in names if name.startswith(_PROCESSES)]
