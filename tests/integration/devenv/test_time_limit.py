"""The tests' time limit: a test that hangs fails, wherever it waits, and the next one runs."""

from tests.integration.devenv.conftest import InnerPytest

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


def test_a_test_that_hangs_fails_and_the_next_one_runs(inner_pytest: InnerPytest) -> None:
    conftest = (
        "from tests.time_limit import pytest_timeout_cancel_timer, pytest_timeout_set_timer\n"
    )
    printed = inner_pytest(conftest, TESTS, "--timeout=0.5")

    assert "3 failed, 1 passed" in printed, printed
    assert "test_in_uvloop has not ended within 0.5 s" in printed
    assert "await asyncio.Event().wait()" in printed, "where the task waits is told"
