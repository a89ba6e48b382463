"""Logging never waits for the reader of the log, and lost lines are counted."""

import contextlib
import fcntl
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from gateway.observe import log_stream
from gateway.observe.log_stream import LogStream

#: Of a pipe, the smallest that there is.
_PIPE_BYTES = 4096
_LINE = "x" * 99 + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The reader's and the writer's end."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    yield reader, writer
    # A thread that still writes ends by that, and before its descriptor is another's.
    with contextlib.suppress(OSError):
        os.close(reader)
    for thread in threading.enumerate():
        if thread.name == "log":
            thread.join(10)
    os.close(writer)


@pytest.fixture
def log() -> Iterator[Callable[[LogStream], logging.Logger]]:
    """The gateway's log, sent into a stream."""
    logger = logging.getLogger("gateway")
    before = logger.handlers[:], logger.propagate, logger.level

    def into(stream: LogStream) -> logging.Logger:
        logger.handlers[:] = [logging.StreamHandler(stream)]
        logger.propagate = False
        logger.setLevel(logging.INFO)
        return logger

    yield into
    logger.handlers[:], logger.propagate, logger.level = before


def read_until(reader: int, last: bytes) -> bytes:
    seen = b""
    while last not in seen:
        chunk = os.read(reader, 65_536)
        assert chunk, f"the pipe ended after {seen[-200:]!r}"
        seen += chunk
    return seen


def test_lines_leave_in_their_order_and_all_of_them_before_the_end(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    stream = LogStream(writer)
    for number in range(200):
        stream.write(f"{number}\n")
    stream.end(within=10)
    assert os.read(reader, 65_536).split() == [b"%d" % number for number in range(200)]


def test_a_logging_caller_does_not_wait_for_the_reader_who_is_told_how_much_is_missing(
    pipe: tuple[int, int], log: Callable[[LogStream], logging.Logger]
) -> None:
    reader, writer = pipe
    stream = LogStream(writer, waiting_bytes=20_000)
    logger = log(stream)
    # Would stop at the 41st line if it waited.
    for _ in range(1000):
        stream.write(_LINE)
    seen = read_until(reader, b"log lines were dropped")
    kept = seen.count(_LINE.encode())
    assert 150 <= kept <= 300
    assert b"%d log lines were dropped" % (1000 - kept) in seen
    logger.info("and it goes on")
    read_until(reader, b"and it goes on\n")
    stream.end(within=10)


def test_the_end_does_not_wait_for_ever_for_a_reader(pipe: tuple[int, int]) -> None:
    _, writer = pipe
    stream = LogStream(writer)
    for _ in range(1000):
        stream.write(_LINE)
    stream.end(within=0.05)
    assert any(thread.name == "log" for thread in threading.enumerate())
    assert stream.write("too late\n") == len("too late\n")


def test_a_reader_that_is_gone_stops_nothing_and_nothing_is_kept_for_it(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    stream = LogStream(writer, waiting_bytes=1000)
    os.close(reader)
    for _ in range(100):
        stream.write(_LINE)
    stream.end(within=10)
    assert not any(thread.name == "log" for thread in threading.enumerate())


def test_all_that_python_writes_there_takes_the_same_way(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = pipe
    with os.fdopen(os.dup(writer), "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with log_stream.off_the_loop():
            for _ in range(1000):
                sys.stderr.write(_LINE)
            sys.stderr.flush()
            assert os.read(reader, 65_536)
        assert sys.stderr is stderr
