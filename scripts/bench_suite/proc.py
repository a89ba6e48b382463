"""The cost of processes: CPU seconds, memory and descriptors, from /proc (proc(5))."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of the processes so far, without those that have ended."""
    return sum(map(_cpu_ticks, pids)) / _TICKS


def memory_bytes(pids: Iterable[int]) -> int:
    """Memory of the processes: proportional set sizes, where pages that they share count once."""
    return sum(map(_proportional_kilobytes, pids)) * 1024


def descriptors(pids: Iterable[int]) -> int:
    """Open files and sockets of the processes."""
    return sum(map(_open_files, pids))


def _open_files(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names alone
    except FileNotFoundError:
        return 0


def _cpu_ticks(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return 0
    # The program's name, in brackets, may hold blanks.
    user, system = text.rpartition(")")[2].split()[11:13]
    return int(user) + int(system)


def _proportional_kilobytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
