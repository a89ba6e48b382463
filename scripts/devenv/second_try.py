"""Which failed tests are tried once more.

Only those that work with real processes, and only a few: the acceptance tier kills and hangs
RabbitMQ nodes, and RabbitMQ 3.10 does not always put itself together again (partitions that stay,
queues without a leader). The second try runs on a cluster of its own; what passes then is named, so
that nobody overlooks it.
"""

import json
from pathlib import Path

#: More than this is no bad luck.
MOST = 5
_PROCESSES = ("tests/acceptance/", "tests/integration/process/")


def candidates(root: Path) -> list[str]:
    """The tests that failed in the last session in `root`, if all of them deserve a second try."""
    try:
        failed = list(json.loads((root / ".pytest_cache/v/cache/lastfailed").read_text()))
    except FileNotFoundError:
        return []
    if len(failed) > MOST or not all(name.startswith(_PROCESSES) for name in failed):
        return []
    return failed
