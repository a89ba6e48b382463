"""What is written in C: it is compiled, and measures something."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench_suite import native
from devenv.errors import SetupError


def test_sending_to_each_of_many_sockets_has_a_floor(tmp_path: Path) -> None:
    each = native.floor(tmp_path, sockets=10, size=330, rate=20, seconds=0.2)
    assert 0 < each < 10_000


def test_a_flush_takes_time_and_a_slow_disk_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LD_PRELOAD", "SLOW_DISK_US"):
        # So that both are undone.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    assert native.flush(tmp_path) > 0
    native.slow_disk(tmp_path, 30.0)
    flush = (
        "import os, sys, time; file = open(sys.argv[1], 'wb'); begun = time.monotonic();"
        "os.fdatasync(file.fileno()); os.fsync(file.fileno()); print(time.monotonic() - begun)"
    )
    command = [sys.executable, "-c", flush, str(tmp_path / "flushed")]
    took = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True)  # noqa: S603
    assert float(took.stdout) >= 0.06
    assert native.flush(tmp_path) >= 30_000


def test_what_cannot_be_compiled_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SetupError, match=r"floor\.c was not compiled"):
        native.compiled("floor", tmp_path, "-no-such-option")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="apt-get install gcc"):
        native.compiled("floor", tmp_path)
