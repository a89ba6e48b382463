"""Log lines: their form, and that no secret gets into one from any source."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from typing import Literal

import jwt
import pytest
from sqlalchemy import create_engine, text
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from gateway.config import Log
from gateway.observe import logs

SECRET = "known-secret-of-the-configuration"
TOKEN = jwt.encode({"sub": "anna"}, "k" * 32, algorithm="HS256")
#: Every logger that writes while a gateway serves.
LOGGERS = [
    "gateway.access",
    "gateway.live.client.connection",
    "broker.publishing.publisher",
    "tornado.access",
    "tornado.application",
    "tornado.general",
    "aiormq.connection",
    "sqlalchemy.engine.Engine",
    "asyncio",
    "some.library",
]


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in ("aiormq", "asyncio", "pika")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, value in levels.items():
        logging.getLogger(name).setLevel(value)
    logging.captureWarnings(capture=False)


def set_up(kind: Literal["plain", "json"] = "plain") -> io.StringIO:
    stream = io.StringIO()
    logs.set_up(Log(format=kind, level="debug"), known_secrets=[SECRET, "abc"], stream=stream)
    return stream


def test_a_plain_line_has_time_level_logger_connection_and_message() -> None:
    stream = set_up()
    logging.getLogger("gateway.main").info("serving %s", "http://localhost")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    gateway.main \[-\] serving http://localhost\n",
        stream.getvalue(),
    )


def test_a_json_line_is_one_object() -> None:
    stream = set_up("json")
    logging.getLogger("gateway.main").warning("two\nlines and 한글")
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "gateway.main",
        "connection": "-",
        "message": "two\nlines and 한글",
    }
    assert stream.getvalue().count("\n") == 1


def test_each_task_writes_its_own_connection_id() -> None:
    stream = set_up()

    async def serve(name: str) -> None:
        logs.connection.set(name)
        await asyncio.sleep(0)
        logging.getLogger("gateway").info("for %s", name)

    async def both() -> None:
        await asyncio.gather(serve("c-one"), serve("c-two"))

    asyncio.run(both())
    assert "[c-one] for c-one" in stream.getvalue()
    assert "[c-two] for c-two" in stream.getvalue()


def test_nobody_outside_can_start_a_line_of_the_log() -> None:
    stream = set_up()
    logging.getLogger("gateway").info("user %s", "anna\n2026-01-01T00:00:00Z INFO forged\x1b[2J")
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("kind", ["plain", "json"])
@pytest.mark.parametrize(
    "line",
    [
        f"Authorization: Bearer {TOKEN}",
        f"GET /x {{'Authorization': 'Bearer {TOKEN}'}}",
        "authorization: Basic YW5uYTpodW50ZXIy",
        f"a bare token {TOKEN}, here",
        "amqp://gateway:hunter2@127.0.0.1:5672/",
        "postgresql://gateway:hunter2/with@signs@db/x",
        "CONNECT\nlogin:anna\npasscode:hunter2 and \\c more\n\n",
        "b'CONNECT\\nlogin:anna\\npasscode:hunter2\\n\\n\\x00'",
        '{"user":"anna","password":"hunter2, with \\" inside"}',
        "Login(user='anna', password='hunter2')",
        "/api/session?token=hunter2&x=1",
        "password=hunter2",
        "Cookie: theme=dark; session=hunter2",
        f"Set-Cookie: session={TOKEN}; HttpOnly",
        f"signed with {SECRET} today",
        f"signed with {SECRET!r}",
    ],
)
def test_no_secret_gets_into_a_line(line: str, kind: Literal["plain", "json"]) -> None:
    for name in LOGGERS:
        stream = set_up(kind)
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG)
        logger.warning("%s", line)
        try:
            raise ValueError(line)
        except ValueError:
            logger.exception("failed")
        logger.setLevel(logging.NOTSET)
        written = stream.getvalue()
        assert written.count("***") >= 2
        for secret in ("hunter2", "YW5uYTpodW50ZXIy", SECRET, *TOKEN.split(".")):
            assert secret not in written


@pytest.mark.parametrize(
    "line",
    [
        "anna speaks STOMP 1.2",
        "POST /api/rooms/42/messages 201 3.4 ms from 127.0.0.1",
        "the token has expired; get a new one",
        "serving http://localhost:8080, internal http://127.0.0.1:8081",
        "r1: no AMQP session within 5 s",
    ],
)
def test_ordinary_lines_stay_as_they_are(line: str) -> None:
    assert logs.Redaction([SECRET, "abc"])(line) == line


@pytest.mark.parametrize("part", ["://:", "token='", 'token="\\', "passcode:", "eyJ.", "Bearer "])
def test_a_long_line_takes_no_long_time(part: str) -> None:
    redact = logs.Redaction([SECRET])

    def seconds(line: str) -> float:
        start = time.process_time()
        redact(line)
        return time.process_time() - start

    # Four times the line: four times the time, or sixteen if it grew with the square.
    short, long = part * 16_000, part * 64_000
    assert min(seconds(long) for _ in range(3)) < 10 * max(seconds(short) for _ in range(3)) + 0.05


def test_a_database_that_echoes_its_statements_hides_their_secrets() -> None:
    stream = set_up()
    engine = create_engine("sqlite://", echo=True)
    with engine.connect() as connection:
        connection.execute(text("SELECT :value"), {"value": f"Bearer {TOKEN}"})
    engine.dispose()
    logging.getLogger("sqlalchemy.engine.Engine").setLevel(logging.NOTSET)
    assert "SELECT" in stream.getvalue()
    assert TOKEN not in stream.getvalue()


def test_the_repr_of_a_request_hides_its_token() -> None:
    stream = set_up()
    request = HTTPServerRequest(
        start_line=RequestStartLine("GET", f"/ws?token={TOKEN}", "HTTP/1.1"),
        headers=HTTPHeaders({"Host": "localhost"}),
    )
    logging.getLogger("tornado.application").error("Uncaught exception\n%r", request)
    assert "HTTPServerRequest" in stream.getvalue()
    assert TOKEN not in stream.getvalue()


def test_connection_ids_differ_and_are_short() -> None:
    ids = {logs.new_connection_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch("[0-9a-f]{12}", each) for each in ids)


class Unprintable:
    """An object that cannot be formatted."""

    def __str__(self) -> str:
        raise ValueError("no text")


class Destroyed:
    """An object whose destructor fails."""

    def __del__(self) -> None:
        raise ValueError("in a destructor")


def test_a_line_that_cannot_be_written_is_told_once_and_counted() -> None:
    stream = set_up()
    for _ in range(5):
        logging.getLogger("gateway.x").error("%s", Unprintable())
    logs.end()
    told = stream.getvalue()
    assert told.count("a log line of gateway.x could not be written") == 1
    assert told.count("Traceback") == 1
    assert "repeated 4 more times within a minute: ValueError at " in told


def test_what_python_writes_by_itself_is_told_once_and_counted() -> None:
    stream = set_up()

    def fail() -> None:
        raise ValueError("in a thread")

    with logs.of_everything():
        for _ in range(3):
            Destroyed()
            thread = threading.Thread(target=fail, name="worker")
            thread.start()
            thread.join()
    logs.end()
    told = stream.getvalue()
    assert told.count("Traceback") == 2
    assert "Destroyed.__del__" in told
    assert "the thread worker has failed" in told
    assert told.count("repeated 2 more times within a minute: ValueError at ") == 2


def test_counting_goes_on_when_the_log_is_set_up_again() -> None:
    streams = []
    for _ in range(2):
        streams.append(set_up())
        for _ in range(2):
            try:
                raise ValueError("again")
            except ValueError:
                logging.getLogger("gateway.x").exception("it failed")
    logs.end()
    assert [stream.getvalue().count("Traceback") for stream in streams] == [1, 0]
    assert "repeated 3 more times within a minute" in streams[1].getvalue()
