"""What is written in C, because Python would take longer than what it measures; compiled by the
system's cc when it is needed."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Final

from devenv.errors import SetupError

_HERE: Final = Path(__file__).parent
#: Times that a flush is measured, and the bytes before it: a page of SQLite's log.
_FLUSHES, _PAGE = 100, 4096


def compiled(name: str, folder: Path, *options: str) -> Path:
    """The program, made of the file of this name. Raises :class:`SetupError`."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise SetupError("a C compiler is missing: apt-get install gcc")
    program = folder / name
    command = [compiler, "-O2", *options, "-o", str(program), str(_HERE / f"{name}.c")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SetupError(f"{name}.c was not compiled:\n{result.stderr}")
    return program


def floor(folder: Path, *, sockets: int, size: int, rate: int, seconds: float) -> float:
    """Microseconds of CPU for one send, by a program that does nothing else."""
    arguments = [str(each) for each in (sockets, size, rate, seconds)]
    result = subprocess.run(
        [compiled("floor", folder), *arguments], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise SetupError(f"the floor was not measured: {result.returncode}")
    return float(result.stdout)


def slow_disk(folder: Path, milliseconds: float) -> None:
    """Let each flush of programs that are started from now on take so much longer."""
    library = compiled("slow_disk", folder, "-shared", "-fPIC")
    os.environ["LD_PRELOAD"] = str(library.absolute())
    os.environ["SLOW_DISK_US"] = str(int(1000 * milliseconds))


def flush(folder: Path) -> float:
    """Microseconds in which a written page is on the disk: the median, with what :func:`slow_disk`
    adds."""
    took = []
    with (folder / "flushed").open("wb", buffering=0) as file:
        for _ in range(_FLUSHES):
            file.write(bytes(_PAGE))
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(1e6 * (time.perf_counter() - begun))
    return median(took) + float(os.environ.get("SLOW_DISK_US", "0"))
