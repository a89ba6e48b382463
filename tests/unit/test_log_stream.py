"""Lines of one turn of the loop leave together, and none is lost or overtaken."""

import asyncio
import io
import logging
from collections.abc import Iterator

import pytest

from gateway.log_stream import TurnHandler


class Stream(io.StringIO):
    """Keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return super().write(text)


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def log(stream: Stream) -> Iterator[logging.Logger]:
    handler = TurnHandler(stream)
    logger = logging.getLogger("a logger of this test alone")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)
    handler.close()


def test_the_lines_of_a_turn_leave_in_one_write(log: logging.Logger, stream: Stream) -> None:
    async def turns() -> None:
        log.info("one")
        log.warning("two")
        assert stream.writes == []
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert stream.writes == ["one\ntwo\n"]
        log.info("three")

    asyncio.run(turns())
    assert stream.writes == ["one\ntwo\n", "three\n"]


def test_an_error_leaves_at_once_behind_what_came_before(
    log: logging.Logger, stream: Stream
) -> None:
    async def turn() -> None:
        log.info("before")
        log.error("broken")
        assert stream.writes == ["before\nbroken\n"]

    asyncio.run(turn())
    assert stream.writes == ["before\nbroken\n"]


def test_outside_of_a_loop_a_line_leaves_at_once(log: logging.Logger, stream: Stream) -> None:
    log.info("starting")
    assert stream.writes == ["starting\n"]


def test_what_a_loop_has_left_behind_leaves_with_the_next_line(
    log: logging.Logger, stream: Stream
) -> None:
    loop = asyncio.new_event_loop()
    loop.call_soon(log.info, "last")
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    assert stream.writes == []
    log.info("after")
    assert stream.writes == ["last\nafter\n"]


def test_a_turn_keeps_no_more_lines_than_a_few_hundred(log: logging.Logger, stream: Stream) -> None:
    async def turn() -> None:
        for number in range(300):
            log.info("%d", number)
        assert len(stream.writes) == 1

    asyncio.run(turn())
    assert stream.getvalue().split() == [str(number) for number in range(300)]


def test_a_line_that_cannot_be_written_stops_nothing(
    stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("no number",)
    record = logging.LogRecord("a", logging.INFO, __file__, 1, "%d", arguments, None)
    # Not by a logger: pytest's own handlers raise.
    TurnHandler(stream).handle(record)
    assert "no number" in capsys.readouterr().err
    assert stream.writes == []
