"""Log lines: plain or JSON on standard error, with a connection id, and without secrets.

Code that handles a secret does not log it. :class:`Redaction` is the last line of defence for the
output of libraries (URLs with passwords, frames, headers). It works on the finished line, so that
it covers arguments and tracebacks too.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from itertools import count
from typing import Final, TextIO

from gateway.config import Log
from gateway.observe.log_repetitions import Repetitions

_log = logging.getLogger(__name__)

#: The connection or request that the running task works for; "-" outside of any.
connection: ContextVar[str] = ContextVar("connection", default="-")

#: Shorter secrets would blank out ordinary words.
_SHORTEST_SECRET = 4

_HIDDEN: Final = "***"
#: Repetitions are bounded, so that the time of no line grows with the square of its length.
_PATTERNS: Final = (
    # RFC 6750, and RFC 7617 beside it
    (re.compile(r"\b(Bearer|Basic)(\s+)[A-Za-z0-9._~+/=-]+", re.I), rf"\1\2{_HIDDEN}"),
    # RFC 7519: a JWT's header is a JSON object, and base64url of '{"' is 'eyJ'
    (re.compile(r"\beyJ[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){1,4}"), _HIDDEN),
    # RFC 3986, section 3.2.1: user:password@host
    (re.compile(r"(://[^\s/:@]{0,200}):[^\s'\"]{0,500}@"), rf"\1:{_HIDDEN}@"),
    # a header line of STOMP or HTTP: everything up to its end. No \\b before the names: in a repr
    # the letter of "\\n" comes first.
    (
        re.compile(r"(passcode|authorization|cookie)(\s*:\s*)[^\s'\"][^\r\n]*", re.I),
        rf"\1\2{_HIDDEN}",
    ),
    # a key in JSON, in a repr, in a query or in a form
    (
        re.compile(
            r"(passcode|password|passwd|secret|token|authorization|cookie)"
            r"(['\"]?\s*[:=]\s*)"
            r"(\"(?:[^\"\\]|\\.){0,2000}\"|'(?:[^'\\]|\\.){0,2000}'|[^\s,;&'\"{}\[\]()]+)",
            re.I,
        ),
        rf"\1\2{_HIDDEN}",
    ),
)


class ConnectionIds:
    """A generator of ids of twelve hex digits, by which a connection's lines are found; no secret.

    The first one is random and the next ones count on, because the system's randomness costs as
    much as the rest of a request.
    """

    def __init__(self, start: int) -> None:
        self._numbers = count(start)

    def __call__(self) -> str:
        return f"{next(self._numbers) % 16**12:012x}"


new_connection_id: Final = ConnectionIds(secrets.randbits(48))

#: Every one of the patterns needs one of these, in small letters. Most lines have none.
_SUSPICIOUS: Final = (
    *("bearer", "basic", "eyj", "://", "passcode", "password", "passwd", "secret", "token"),
    *("authorization", "cookie"),
)


class Redaction:
    """A filter that replaces known secrets, and texts that look like secrets, by ``***``."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        found = {secret for secret in known if len(secret) >= _SHORTEST_SECRET}
        # The longest first: one secret may be a part of another.
        self._known = (
            re.compile("|".join(re.escape(secret) for secret in sorted(found, key=len)[::-1]))
            if found
            else None
        )

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(_HIDDEN, text)
        small = text.lower()
        if any(word in small for word in _SUSPICIOUS):
            for pattern, replacement in _PATTERNS:
                text = pattern.sub(replacement, text)
        return text


class _LineFormatter(logging.Formatter):
    """The base of both formatters: the time of a line, and texts without secrets."""

    def __init__(self, redact: Redaction) -> None:
        super().__init__()
        self._redact = redact

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """RFC 3339, UTC, milliseconds."""
        moment = datetime.fromtimestamp(record.created, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _text(self, record: logging.LogRecord) -> str:
        return self._redact(record.getMessage())

    def _trace(self, record: logging.LogRecord) -> str:
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        stack = self.formatStack(record.stack_info) if record.stack_info else ""
        return self._redact("\n".join(part for part in (trace, stack) if part))


class PlainFormatter(_LineFormatter):
    """A formatter for people: ``<time> <level> <logger> [<connection>] <message>``; a traceback
    follows, indented.

    Control characters in the message are escaped, so that no client's text can start a line.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = (
            f"{self.formatTime(record)} {record.levelname:<7} {record.name} "
            f"[{connection.get()}] {_on_one_line(self._text(record))}"
        )
        if trace := self._trace(record):
            line += "\n    " + trace.replace("\n", "\n    ")
        return line


class JsonFormatter(_LineFormatter):
    """A formatter for machines: one JSON object a line, with time, level, logger, connection,
    message and maybe exception."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "connection": connection.get(),
            "message": self._text(record),
        }
        if trace := self._trace(record):
            line["exception"] = trace
        return json.dumps(line, ensure_ascii=False)


#: Python reads a codec from its file when it is first used; no descriptor may be left then.
"".encode("unicode_escape")


def _on_one_line(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


#: The levels from which libraries' lines are shown, unless all of them were asked for.
_QUIET: Final = {
    # Otherwise a line for every connection and every statement.
    "aiosqlite": logging.WARNING,
    "alembic": logging.WARNING,
    "asyncio": logging.WARNING,
    # Otherwise a line for every scanner that breaks off a handshake or does not speak HTTP.
    "tornado.general": logging.ERROR,
    # The callers log what fails; these loggers would log it again, with tracebacks.
    "aiormq": logging.CRITICAL,
    "pamqp": logging.CRITICAL,
    "pika": logging.CRITICAL,
}


class _Handler(logging.StreamHandler[TextIO]):
    """A handler whose own failures are log lines, too, so that they are counted like all others."""

    def handleError(self, record: logging.LogRecord) -> None:
        if record.name != __name__:
            _log.error(
                "a log line of %s could not be written (%s, line %d)",
                record.name,
                record.pathname,
                record.lineno,
                exc_info=True,
            )


def set_up(log: Log, *, known_secrets: Iterable[str], stream: TextIO) -> None:
    """Send the root logger's lines to ``stream`` in the configured form, and only there.

    May be called again with other settings; what was counted stays counted.
    """
    root = logging.getLogger()
    known = [each for handler in root.handlers for each in handler.filters]
    counted = [each for each in known if isinstance(each, Repetitions)]
    redact = Redaction(known_secrets)
    handler = _Handler(stream)
    handler.addFilter(counted[0] if counted else Repetitions(clock=time.monotonic))
    handler.setFormatter(JsonFormatter(redact) if log.format == "json" else PlainFormatter(redact))
    for old in tuple(root.handlers):
        root.removeHandler(old)
        old.flush()
    root.addHandler(handler)
    root.setLevel(log.level.upper())
    logging.captureWarnings(capture=True)
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(logging.NOTSET if log.level == "debug" else level)


def end() -> None:
    """Say what has been counted and not been said; nothing is logged after this."""
    for handler in logging.getLogger().handlers:
        for repetitions in handler.filters:
            if isinstance(repetitions, Repetitions):
                repetitions.tell_all()


@contextmanager
def of_everything() -> Iterator[None]:
    """Log what Python would write to standard error by itself: exceptions that nobody can catch,
    in destructors and in threads."""
    before = sys.unraisablehook, threading.excepthook
    sys.unraisablehook, threading.excepthook = _unraisable, _of_thread
    try:
        yield
    finally:
        sys.unraisablehook, threading.excepthook = before


def _unraisable(found: sys.UnraisableHookArgs) -> None:
    _log.error(
        "%s: %s",
        found.err_msg or "Exception ignored in",
        # Not the object itself: its text may be long, or hold a secret.
        getattr(found.object, "__qualname__", type(found.object).__qualname__),
        exc_info=found.exc_value,
    )


def _of_thread(found: threading.ExceptHookArgs) -> None:
    name = found.thread.name if found.thread else "unknown"
    _log.error("the thread %s has failed", name, exc_info=found.exc_value)
