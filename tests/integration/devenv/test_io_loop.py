"""The tests' event loop: failures that nobody sees must fail the test."""

from tests.integration.devenv.conftest import InnerPytest

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


def test_leaked_tasks_and_unseen_exceptions_fail_a_test_that_passed(
    inner_pytest: InnerPytest,
) -> None:
    conftest = "import tests.conftest\nfrom tests.conftest import io_loop\n"
    conftest += "tests.conftest._LINGER = 0.5\n"
    printed = inner_pytest(conftest, TESTS)

    assert "1 failed, 3 passed, 3 errors" in printed, printed
    assert "so it did not come to closing it" in printed
    assert "unclosed resource <TCPTransport" in printed
    assert "tasks left running" in printed
    assert "exceptions that nobody caught" in printed
    assert "ZeroDivisionError" in printed
