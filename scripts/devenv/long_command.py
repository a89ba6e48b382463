"""A command that takes long and says little of use: pip, npm, apt.

What it prints is kept for the case that it fails; meanwhile a moving line shows how long it has
been running and what it printed last. Only the standard library is imported: this also runs before
`.venv` exists.
"""

import os
import select
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from devenv.moving_line import TICK, MovingLine, Progress

Noise = Callable[[str], bool]

#: Bytes of output that are kept, the last ones.
_KEPT = 262_144
#: Seconds between two lines where there is no terminal.
_QUIET = 10.0


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
    moving = MovingLine(progress, quiet=_QUIET)
    with subprocess.Popen(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        output = process.stdout.fileno()
        said, lines = b"", list[str]()
        try:
            while True:
                if select.select([output], [], [], TICK)[0]:
                    chunk = os.read(output, 65_536)
                    if not chunk:
                        break
                    said = (said + chunk)[-_KEPT:]
                    lines = [
                        line
                        for line in said.decode(errors="replace").splitlines()
                        if line.strip() and not is_noise(line)
                    ]
                moving.show(lines[-1].strip() if lines else "")
        finally:
            moving.clear()
    return Ended(process.returncode, lines)
