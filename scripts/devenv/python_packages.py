"""Installs the project with its Python packages into the running interpreter's environment.

`scripts/bootstrap` calls this with a `.venv` that is still empty: only the standard library is
imported. `scripts/mutants` calls it again for the extra that it alone needs.
"""

import re
import sys
from pathlib import Path

from devenv import long_command
from devenv.errors import SetupError
from devenv.moving_line import Progress

_PROJECT = Path(__file__).parents[2]
#: What pip says of each package that a local index or a folder of wheels does not have. It looks
#: in the other places then, so that this tells nobody anything.
_LOCAL_INDEX = re.compile(r"WARNING: (Location|Url) '?file:.* is ignored")
#: Those that `scripts/test` needs.
_EXTRAS = "test,postgres"
_INSTALL = (
    "install",
    "--disable-pip-version-check",
    "--root-user-action=ignore",
    "--no-color",
    "--progress-bar=off",
)


def ensure(
    progress: Progress,
    command: tuple[str, ...] = (sys.executable, "-m", "pip"),
    *,
    extras: str = _EXTRAS,
) -> None:
    """Install everything that is missing. Raises `SetupError` with the end of what pip said."""
    progress("installing the Python packages (pip)")
    ended = long_command.run(
        [*command, *_INSTALL, "--editable", f".[{extras}]"],
        progress,
        cwd=_PROJECT,
        is_noise=_is_about_a_local_index,
    )
    if ended.code:
        raise SetupError(f"pip could not install the Python packages:\n{ended.tail()}")
    for line in ended.lines:
        if line.startswith(("WARNING:", "DEPRECATION:")):
            progress(f"pip: {line}")


def _is_about_a_local_index(line: str) -> bool:
    return _LOCAL_INDEX.match(line.strip()) is not None


def _say(text: str) -> None:
    print(f"· {text}", flush=True)


def main() -> int:
    """`python -m devenv.python_packages [EXTRA …]`; without an extra those of `scripts/test`."""
    try:
        ensure(_say, extras=",".join(sys.argv[1:]) or _EXTRAS)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
