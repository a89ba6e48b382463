"""Builds the pages into `static/built`: see `page_build.mjs` beside this.

The folder is not committed. It is made anew when a source of the pages, a library or the build
itself has changed; the gateway serves what it finds there when it starts.
"""

import hashlib
import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

from devenv import long_command
from devenv.errors import SetupError
from devenv.moving_line import Progress

PROJECT = Path(__file__).parents[2]
_SCRIPT = Path(__file__).with_suffix(".mjs")


def ensure(progress: Progress, project: Path = PROJECT) -> None:
    """Make `static/built` match the sources, unless it does already. Needs what
    :mod:`devenv.vendor` fetches."""
    target = project / "static" / "built"
    stamp, wanted = target / ".stamp", digest(project)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    progress("building the pages")
    fresh = Path(mkdtemp(prefix=".built.", dir=target.parent))
    try:
        build(project, fresh, progress)
        (fresh / stamp.name).write_text(wanted)
        fresh.chmod(0o755)
        old = target.with_name(f"{fresh.name}.old")
        if target.exists():
            target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def build(project: Path, target: Path, progress: Progress) -> None:
    """Build into an empty folder."""
    command = ["node", str(_SCRIPT), str(project), str(target)]
    ended = long_command.run(command, progress, cwd=project)
    if ended.code:
        raise SetupError(f"the pages could not be built:\n{ended.tail()}")


def digest(project: Path) -> str:
    """A hash of everything that the build reads."""
    static = project / "static"
    found = hashlib.sha256(_SCRIPT.read_bytes())
    found.update((project / "package-lock.json").read_bytes())
    for folder, names, files in os.walk(static):
        # The vendored libraries follow from package-lock.json.
        names[:] = sorted(n for n in names if n not in ("vendor", "built") and n[0] != ".")
        for name in sorted(files):
            path = Path(folder, name)
            if path.suffix in (".js", ".css", ".html", ".svg"):
                found.update(f"{path.relative_to(static)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()
