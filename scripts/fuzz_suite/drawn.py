"""One target by examples that are drawn: the seeds, and small changes of them.

`python -m fuzz_suite.drawn TARGET FOLDER SECONDS`; in the unit tests, a few hundred of each.
"""

import hashlib
import sys
import time
from importlib import import_module
from pathlib import Path
from random import Random

from fuzz_suite.catalogue import TARGETS

_MOST_CHANGES = 6


def changed(seeds: tuple[bytes, ...], rng: Random) -> bytes:
    """A seed with some bytes changed, left out, doubled, or taken from another seed."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randrange(_MOST_CHANGES)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0:
                data[at : at + 1] = bytes((rng.randrange(256),))
            case 1:
                del data[at : at + 1 + rng.randrange(8)]
            case 2:
                data[at:at] = data[at : at + rng.randrange(16)] * rng.randrange(4)
            case 3:
                other = rng.choice(seeds)
                begin = rng.randrange(len(other) + 1)
                data[at:at] = other[begin : begin + rng.randrange(32)]
            case 4:
                data[at:at] = rng.choice(_TELLING)
    return bytes(data)


#: Bytes at which readers have failed before, theirs or ours.
_TELLING = (
    b"\0",
    b"\n\n",
    b"\r\n",
    b"\xff" * 8,
    b"\x7f" + b"\xff" * 7,
    b"\\",
    b"-1",
    b"\xed\xa0\x80",
    b"[" * 3000,
    b"9" * 5000,
)


def main() -> int:
    """1 if an example breaks the target's property; it is kept in the folder."""
    name, folder, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    target = import_module(f"fuzz_suite.targets.{TARGETS[name]}")
    rng = Random()  # noqa: S311 - another one each time
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        data = changed(target.SEEDS, rng)
        try:
            target.check(data)
        except Exception:
            (folder / f"crash-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)
            raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
