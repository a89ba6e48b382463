"""The tests' event loop: failures that nobody sees must fail the test."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[3]

TESTS = """
import asyncio
import pytest

pytestmark = pytest.mark.gen_test
kept = []

async def test_clean():
    task = asyncio.create_task(asyncio.sleep(0))
    kept.append(task)

async def test_leaks_a_task():
    kept.append(asyncio.create_task(asyncio.sleep(600)))

async def test_has_an_exception_in_a_callback():
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)

async def test_leaves_a_connection_open():
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    kept.append(await asyncio.open_connection(*server.sockets[0].getsockname()))
    server.close()
    raise AssertionError("so it did not come to closing it")
"""


def test_leaked_tasks_and_unseen_exceptions_fail_a_test_that_passed(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import io_loop\n")
    (tmp_path / "test_inner.py").write_text(TESTS)

    result = subprocess.run(  # noqa: S603 - our own program
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
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

    assert "1 failed, 3 passed, 3 errors" in result.stdout, result.stdout
    assert "so it did not come to closing it" in result.stdout
    assert "unclosed resource <TCPTransport" in result.stdout
    assert "tasks left running" in result.stdout
    assert "exceptions that nobody caught" in result.stdout
    assert "ZeroDivisionError" in result.stdout
