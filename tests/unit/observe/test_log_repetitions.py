"""The same error again is counted."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from gateway.observe.log_repetitions import Repetitions
from tests.fake_clock import FakeClock


class Kept(logging.Handler):
    """A log handler that keeps its lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def kept(clock: FakeClock) -> Iterator[Kept]:
    logger = logging.getLogger("gateway")
    before = logger.handlers[:], logger.propagate, logger.level
    handler = Kept()
    handler.addFilter(Repetitions(clock=clock))
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)
    yield handler
    logger.handlers[:], logger.propagate, logger.level = before


log = logging.getLogger("gateway.something")


def fail(error: Exception) -> None:
    try:
        raise error
    except Exception:
        log.exception("it failed: %s", error)


def fail_elsewhere() -> None:
    try:
        raise ValueError("elsewhere")
    except ValueError:
        log.exception("it failed elsewhere")


def test_one_traceback_of_an_error_passes_a_minute_and_the_others_are_counted(
    kept: Kept, clock: FakeClock
) -> None:
    for number in range(1000):
        fail(ValueError(number))
    assert kept.lines == ["it failed: 0"]
    clock.now += 60
    log.info("later")
    [_, told, later] = kept.lines
    assert told.startswith("repeated 999 more times within a minute: ValueError at ")
    assert later == "later"
    fail(ValueError("again"))
    assert kept.lines[-1] == "it failed: again"


def test_another_error_and_another_place_are_others(kept: Kept) -> None:
    fail(ValueError(1))
    fail(KeyError(2))
    fail_elsewhere()
    fail(ValueError(3))
    assert kept.lines == ["it failed: 1", "it failed: 2", "it failed elsewhere"]


def test_lines_without_a_traceback_always_pass(kept: Kept) -> None:
    for _ in range(3):
        log.error("said in a line")
    assert len(kept.lines) == 3


def test_errors_that_were_not_repeated_are_not_reported(kept: Kept, clock: FakeClock) -> None:
    fail(ValueError(1))
    clock.now += 60
    log.info("later")
    assert kept.lines == ["it failed: 1", "later"]


def test_it_remembers_so_many_places_and_no_more(kept: Kept) -> None:
    for number in range(1000):
        fail(type(f"Error{number}", (Exception,), {})())
    [repetitions] = kept.filters
    assert isinstance(repetitions, Repetitions)
    assert len(repetitions._places) == 256
