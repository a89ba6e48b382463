"""The gateway's wheel, as `scripts/package` builds it.

It is built from a copy of what git knows, so that nothing gets in that lies about: setuptools keeps
what it built before in `build/`, and packs it again.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from devenv import build_backend, command_lines, long_command, vendor
from devenv.errors import SetupError
from devenv.moving_line import Progress

PROJECT: Final = Path(__file__).parents[2]

#: What the wheel is made of, and what its back end reads.
_SOURCES: Final = (
    *("LICENSE", "README.md", "package-lock.json", "pyproject.toml", "setup.cfg"),
    *("broker", "conf", "gateway", "scripts", "static"),
)
#: Made, and not known to git.
_MADE: Final = ("static/vendor", "static/built")
#: Where the wheel says what it is made of; :mod:`gateway.cli.version` reads it.
_COMMIT: Final = Path("gateway/commit")


def build(target: Path, progress: Progress, project: Path = PROJECT) -> Path:
    """Build the wheel into a folder; what pages need must be there. Raises :class:`SetupError`."""
    try:
        build_backend.check(project)
    except build_backend.Incomplete as error:
        raise SetupError(str(error)) from error
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gateway-package-") as folder:
        tree = Path(folder) / "tree"
        _copy(project, tree)
        (tree / _COMMIT).write_text(_commit(project) + "\n")
        progress("building the wheel (pip)")
        made = Path(folder) / "wheel"
        ended = long_command.run(
            [
                *(sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check"),
                *("--no-deps", "--no-build-isolation", "--wheel-dir", str(made), str(tree)),
            ],
            progress,
            cwd=tree,
        )
        if ended.code:
            raise SetupError(f"the wheel could not be built:\n{ended.tail()}")
        (wheel,) = made.glob("*.whl")
        return Path(shutil.copy2(wheel, target))


def _copy(project: Path, tree: Path) -> None:
    listed = _git(project, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--")
    for name in filter(None, listed.split("\0")):
        source, copy = project / name, tree / name
        # A file that was deleted and not committed yet is still listed.
        if source.is_symlink() or source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)
    for name in _MADE:
        shutil.copytree(project / name, tree / name)


def _commit(project: Path) -> str:
    """The commit, and whether the files differ from it."""
    commit = _git(project, "rev-parse", "--short=12", "HEAD").strip()
    changed = _git(project, "status", "--porcelain", "--")
    return f"{commit}, with changes" if changed else commit


def _git(project: Path, *arguments: str) -> str:
    sources = _SOURCES if arguments[-1] == "--" else ()
    try:
        return subprocess.run(
            ["git", *arguments, *sources],
            cwd=project,
            # A hook's variables would lead to another repository.
            env={name: value for name, value in os.environ.items() if name[:4] != "GIT_"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise SetupError(f"a wheel is made from a git checkout: {said.strip()}") from error


def main() -> int:
    """`scripts/package`."""
    options = command_lines.package().parse_args()
    try:
        vendor.ensure(print)
        wheel = build(options.out, print)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"pip install '{wheel}[postgres]'")
    return 0


if __name__ == "__main__":
    sys.exit(main())
