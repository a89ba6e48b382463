"""Who comes first on a machine with two cores: what is measured, then what floods it.

In production the bad client has a machine of its own. Here its CPU must not be what the room feels.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

#: nice values of what is measured, if we may (as root), and of a flood, if we may not.
_FIRST, _LAST = -10, 19


def put_first(pids: Iterable[int]) -> bool:
    """Let processes that lead sessions of their own run before others; False if we may not."""
    try:
        for pid in pids:
            _set(pid, _FIRST)
    except OSError:
        return False
    return True


def put_last() -> None:
    """Let this process run when nobody else wants to."""
    with suppress(OSError):
        _set(os.getpid(), _LAST)


def _set(pid: int, niceness: int) -> None:
    # Linux shares out CPU by session first, where it has autogroups: sched(7).
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists():
        group.write_text(str(niceness))
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.setpriority(os.PRIO_PROCESS, int(thread.name), niceness)
