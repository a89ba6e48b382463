"""The tests' time limit: a test that hangs fails, wherever it waits, and the next one runs."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[3]

TESTS = """
import asyncio
import threading
import uvloop

async def waiting_for_nothing():
    await asyncio.Event().wait()

def test_in_uvloop():
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(waiting_for_nothing())

def test_in_asyncio():
    asyncio.run(waiting_for_nothing())

def test_without_a_loop():
    threading.Event().wait()

def test_after_them():
    pass
"""


def test_a_test_that_hangs_fails_and_the_next_one_runs(tmp_path: Path) -> None:
    hooks = "from tests.time_limit import pytest_timeout_cancel_timer, pytest_timeout_set_timer\n"
    (tmp_path / "conftest.py").write_text(hooks)
    (tmp_path / "test_inner.py").write_text(TESTS)

    result = subprocess.run(  # noqa: S603 - our own program
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--timeout=0.5"),
            *("-c", str(PROJECT / "setup.cfg"), "--rootdir", str(tmp_path)),
            *("-o", f"pythonpath={PROJECT} {PROJECT / 'scripts'}"),
            str(tmp_path / "test_inner.py"),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert "3 failed, 1 passed" in result.stdout, result.stdout
    assert "test_in_uvloop has not ended within 0.5 s" in result.stdout
    assert "await asyncio.Event().wait()" in result.stdout, "where the task waits is told"
