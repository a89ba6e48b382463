"""Builds the pages into `static/built`: see `page_build.mjs` beside this.

The folder is not committed. It is made anew when a source of the pages, a library or the build
itself has changed; the gateway serves what it finds there when it starts.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
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
    if is_current(project):
        return
    wanted = digest(project)
    progress("building the pages")
    fresh = Path(mkdtemp(prefix=".built.", dir=target.parent))
    try:
        build(project, fresh, progress)
        (fresh / ".stamp").write_text(wanted)
        fresh.chmod(0o755)
        old = target.with_name(f"{fresh.name}.old")
        if target.exists():
            target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def is_current(project: Path) -> bool:
    """Whether `static/built` was made of the sources as they are."""
    stamp = project / "static" / "built" / ".stamp"
    return stamp.exists() and stamp.read_text() == digest(project)


def built(project: Path) -> Iterator[Path]:
    """The files that `static/built` must have, beginning with the one that names the others."""
    manifest = project / "static" / "built" / "manifest.json"
    yield manifest
    if manifest.is_file():
        named = json.loads(manifest.read_text(encoding="utf-8"))
        for name in [*named["pages"].values(), *named["files"]]:
            yield from (manifest.with_name(name + ending) for ending in ("", ".gz", ".br"))


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
