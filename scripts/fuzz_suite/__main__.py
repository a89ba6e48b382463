"""`scripts/fuzz`: mutates what each target reads, guided by coverage, for some minutes.

Atheris runs libFuzzer in a process for each target. What a target has learned stays in
``.run/fuzz/<target>/`` and is where the next run begins. Without Atheris (a Python for which it has
no wheel) examples are drawn at random, which sees no coverage.
"""

import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from devenv import command_lines
from fuzz_suite.catalogue import TARGETS

_RUN = Path(__file__).parents[2] / ".run" / "fuzz"
#: Seconds that a target may take beyond its share, to start and to end.
_START = 300.0


def main() -> int:
    """0: every property held; 1: an input broke one, and is named."""
    options = command_lines.fuzz().parse_args()
    names = options.targets or list(TARGETS)
    seconds = max(1, round(60 * options.minutes / len(names)))
    guided = find_spec("atheris") is not None
    print(f"{len(names)} targets, {seconds} s each" + ("" if guided else "; without Atheris"))
    broken = []
    for name in names:
        folder = _RUN / name
        (folder / "corpus").mkdir(parents=True, exist_ok=True)
        before = set(folder.glob("crash-*"))
        began = time.monotonic()
        module = "fuzz_suite.guided" if guided else "fuzz_suite.drawn"
        log = folder / "log"
        with log.open("wb") as output:
            code = subprocess.run(
                [sys.executable, "-m", module, name, str(folder), str(seconds)],
                stdout=output,
                stderr=output,
                timeout=seconds + _START,
                check=False,
            ).returncode
        print(f"{name}: {_outcome(code)} after {time.monotonic() - began:.0f} s, see {log}")
        if code:
            broken.append(name)
            for file in sorted(set(folder.glob("*-*")) - before):
                print(f"    {file}: {file.read_bytes()[:200]!r}")
    if broken:
        print(f"BROKEN: {', '.join(broken)}. Keep each input as an example: {_KEEP}")
    return int(bool(broken))


_KEEP = "tests/unit/fuzz/examples/<target>/"


def _outcome(code: int) -> str:
    return "broken" if code else "held"


if __name__ == "__main__":
    sys.exit(main())
