"""A command that takes long and says little of use: pip, npm, apt.

What it prints is kept for the case that it fails; meanwhile one moving line shows how long it has
been running and what it printed last. Only the standard library is imported: this also runs before
`.venv` exists.
"""

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[str], None]
Noise = Callable[[str], bool]

#: Bytes of output that are kept, the last ones.
_KEPT = 262_144
#: Seconds between two changes of the moving line on a terminal.
_TICK = 0.25
#: Seconds between two lines where there is no terminal: a log of CI.
_QUIET = 10.0
_CLEAR_LINE = "\r\x1b[K"


@dataclass(frozen=True)
class Ended:
    """Exit code, and the lines that the command printed; a very long output lacks its start."""

    code: int
    lines: list[str]

    def tail(self, most: int = 15) -> str:
        """The last lines, for an error message."""
        return "\n".join(self.lines[-most:])


def run(
    command: Sequence[str | Path],
    progress: Progress,
    *,
    cwd: Path | None = None,
    is_noise: Noise = lambda line: False,
) -> Ended:
    """Run `command` to its end without input. Lines that are `is_noise` are neither shown nor
    kept. Without a terminal `progress` is called every `_QUIET` seconds."""
    with (
        subprocess.Popen(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process,
        ExitStack() as stack,
    ):
        assert process.stdout is not None  # noqa: S101 - for the type checker
        show = _shower(progress, stack)
        output = process.stdout.fileno()
        said, lines = b"", list[str]()
        while True:
            if select.select([output], [], [], _TICK)[0]:
                chunk = os.read(output, 65_536)
                if not chunk:
                    break
                said = (said + chunk)[-_KEPT:]
                lines = [
                    line
                    for line in said.decode(errors="replace").splitlines()
                    if line.strip() and not is_noise(line)
                ]
            show(lines[-1].strip() if lines else "")
    return Ended(process.returncode, lines)


def _shower(progress: Progress, stack: ExitStack) -> Callable[[str], None]:
    started = time.monotonic()
    is_terminal = sys.stdout.isatty()
    interval = _TICK if is_terminal else _QUIET
    due = started + interval

    def show(last: str) -> None:
        nonlocal due
        now = time.monotonic()
        if now < due:
            return
        due = now + interval
        text = f"  … {now - started:.0f} s  {last}".rstrip()
        text = text[: shutil.get_terminal_size().columns - 3]
        if is_terminal:
            print(_CLEAR_LINE + text, end="", flush=True)
        else:
            progress(text.strip())

    if is_terminal:
        stack.callback(print, _CLEAR_LINE, end="", flush=True)
    return show
