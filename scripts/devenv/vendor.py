"""Fetches the browser libraries with npm and lays them out as plain ES modules; and the client
libraries that `scripts/conformance` speaks by, which stay where npm puts them.

A page imports `/static/vendor/stompjs/index.js`, `/static/vendor/uplot/index.js` and
`/static/vendor/qr/index.js`. From these and the sources of the pages `page_build` then makes what
browsers get. Icons are masks of the style sheets:
`/static/vendor/icons/<name>.svg`. The versions stand in package-lock.json.
"""

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devenv import long_command, page_build
from devenv.errors import SetupError
from devenv.moving_line import Progress

PROJECT = Path(__file__).parents[2]

#: Of several thousand, those that a page uses; the names are Phosphor's.
ICONS = (
    "arrow-down",
    "caret-down",
    "caret-left",
    "chart-bar-horizontal",
    "chat-circle-text",
    "check-circle",
    "clock",
    "cloud-slash",
    "copy",
    "gear-six",
    "hand-palm",
    "hands-clapping",
    "lock-simple",
    "paper-plane-tilt",
    "plus",
    "projector-screen-chart",
    "qr-code",
    "question",
    "sign-out",
    "trash",
    "users",
    "warning-circle",
    "x",
)

#: (below node_modules, below static/vendor); of a folder every ES module is taken, with its types.
_LAYOUT = (
    ("@stomp/stompjs/esm6", "stompjs"),
    ("@stomp/stompjs/LICENSE", "stompjs/LICENSE"),
    ("uplot/dist/uPlot.esm.js", "uplot/index.js"),
    ("uplot/dist/uPlot.d.ts", "uplot/index.d.ts"),
    ("uplot/dist/uPlot.min.css", "uplot/uplot.css"),
    ("uplot/LICENSE", "uplot/LICENSE"),
    ("qr/index.js", "qr/index.js"),
    ("qr/index.d.ts", "qr/index.d.ts"),
    ("qr/LICENSE", "qr/LICENSE"),
    *((f"@phosphor-icons/core/assets/bold/{name}-bold.svg", f"icons/{name}.svg") for name in ICONS),
    ("@phosphor-icons/core/LICENSE", "icons/LICENSE"),
)


def ensure(progress: Progress, project: Path = PROJECT) -> None:
    """Make `static/vendor` match package-lock.json, and `static/built` the pages, unless they do
    already. Two scripts in one checkout do so one after the other."""
    with _alone(project / "static", progress):
        _ensure_libraries(progress, project)
        page_build.ensure(progress, project)


@contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[None]:
    """A lock that ends with the process, however that ends; nothing of it is left in the folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another script that makes the pages")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _ensure_libraries(progress: Progress, project: Path) -> None:
    target = project / "static" / "vendor"
    stamp = target / ".stamp"
    wanted = _wanted(project)
    modules = project / "node_modules"
    # Tests take axe-core from where npm puts it.
    if stamp.exists() and stamp.read_text() == wanted and modules.exists():
        return
    progress("fetching the browser libraries (npm)")
    _npm_ci(project, progress)
    fresh = target.with_name("vendor.new")
    shutil.rmtree(fresh, ignore_errors=True)
    lay_out(modules, fresh)
    (fresh / stamp.name).write_text(wanted)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def lay_out(modules: Path, target: Path) -> None:
    """Copy the files that pages import from `modules` (a node_modules folder) into `target`."""
    for source_name, target_name in _LAYOUT:
        source = modules / source_name
        if not source.exists():
            raise SetupError(f"{source_name} is not in the npm package that package-lock.json pins")
        pairs = (
            [
                (path, path.relative_to(source))
                for pattern in ("*.js", "*.d.ts")
                for path in source.rglob(pattern)
            ]
            if source.is_dir()
            else [(source, Path())]
        )
        for path, relative in pairs:
            destination = target / target_name / relative
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, destination)


def laid_out(project: Path) -> Iterator[Path]:
    """The files that `static/vendor` must have; of a folder its first module."""
    for _, name in _LAYOUT:
        path = project / "static" / "vendor" / name
        yield path if path.suffix or path.name == "LICENSE" else path / "index.js"


def _wanted(project: Path) -> str:
    lock = (project / "package-lock.json").read_bytes()
    return hashlib.sha256(lock + repr(_LAYOUT).encode()).hexdigest()


def _npm_ci(project: Path, progress: Progress) -> None:
    ended = long_command.run(
        # stompjs 2.3.3 would bring a WebSocket library with fifteen others.
        ["npm", "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"],
        progress,
        cwd=project,
    )
    if ended.code:
        raise SetupError(f"npm could not fetch the browser libraries:\n{ended.tail()}")


def main() -> int:
    """`python -m devenv.vendor`."""
    try:
        ensure(print)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
