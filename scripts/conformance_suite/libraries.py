"""The client libraries that applications have, each in a process of its own."""

import json
import queue
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, cast

from conformance_suite.frames import Received
from devenv.errors import SetupError

_SCRIPTS: Final = Path(__file__).parents[1]
_CLIENTS: Final = Path(__file__).parent / "clients"
#: Seconds for a process that has no more commands.
_END: Final = 5.0
#: Characters of what a driver that has ended said last.
_TAIL: Final = 2000
_NO_CLOSE_FRAME: Final = "1006"


def _node(file: str) -> Sequence[str]:
    return ["node", str(_CLIENTS / file)]


def _python(module: str) -> Sequence[str]:
    return [sys.executable, "-m", f"conformance_suite.clients.{module}"]


#: A library's name at its registry -> the command line of its driver.
LIBRARIES: Final[Mapping[str, Sequence[str]]] = {
    "@stomp/stompjs": _node("stompjs.js"),
    "@stomp/rx-stomp": _node("rx_stomp.js"),
    "webstomp-client": _node("webstomp.js"),
    "stompjs": _node("stompjs_2.js"),
    "stomp.py": _python("stomp_py"),
    "websocket-client": _python("websocket_client"),
}


class Library:
    """A running driver. Any thread may use it; a connection has one user at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._events: defaultdict[int, queue.Queue[Received]] = defaultdict(queue.Queue)
        self._lock = threading.Lock()
        self._opened = 0
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the driver
        self._process = subprocess.Popen(
            LIBRARIES[name],
            cwd=_SCRIPTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            encoding="utf-8",
        )
        self._commands = cast("IO[str]", self._process.stdin)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def connection(self) -> "Connection":
        """A connection that is not open yet."""
        with self._lock:
            self._opened += 1
            number = self._opened
        return Connection(self, number, self._events[number])

    def say(self, command: Mapping[str, Any]) -> None:
        try:
            with self._lock:
                self._commands.write(f"{json.dumps(command)}\n")
                self._commands.flush()
        except BrokenPipeError:
            raise SetupError(f"the driver of {self.name} has ended:\n{self._said()}") from None

    def close(self) -> None:
        process = self._process
        with suppress(BrokenPipeError):
            self._commands.close()
        try:
            process.wait(_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._reader.join()
        self._complaints.close()

    def _said(self) -> str:
        self._complaints.seek(0)
        return self._complaints.read().decode(errors="replace")[-_TAIL:]

    def _read(self) -> None:
        with cast("IO[str]", self._process.stdout) as events:
            for line in events:
                event = json.loads(line)
                headers = tuple((key, str(value)) for key, value in event["headers"])
                body = event["body"].encode("utf-8", "surrogatepass")
                self._events[event["client"]].put(Received(event["command"], headers, body))


class Connection:
    """An application's connection: what it does, and what its library lets it hear.

    Events are frames (CONNECTED, MESSAGE, RECEIPT, ERROR) and HEARTBEAT, CLOSED (with `code`, if
    the library knows it) and RAISED (the library refuses what the application does).
    """

    def __init__(self, library: Library, number: int, events: "queue.Queue[Received]") -> None:
        self._library = library
        self._number = number
        self._events = events

    def do(self, verb: str, given: Mapping[str, Any]) -> None:
        self._library.say({"client": self._number, "verb": verb, **given})

    def event(self, timeout: float) -> Received | None:
        """The next one; None: there was none in so many seconds."""
        try:
            return self._events.get(timeout=max(0.0, timeout))
        except queue.Empty:
            return None


def ending(closed: Received) -> str:
    """How a connection has ended, as far as the library says so."""
    code = closed.header("code")
    if code == _NO_CLOSE_FRAME:
        return "gone without a Close frame"
    return f"closed with {code}" if code else "closed"


@contextmanager
def running(name: str) -> Iterator[Library]:
    """The driver of a library; it is gone at the end."""
    library = Library(name)
    try:
        yield library
    finally:
        library.close()
