"""The part that the drivers of the Python libraries share; `driver.js` is the one for JavaScript.

A driver reads commands, one JSON object a line: `client` is the number of a connection, `verb` what
the application does there. What the library hears is written in the same way.
"""

import json
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

Headers = Iterable[tuple[str, str]]

_lock: Final = threading.Lock()


class Connection(Protocol):
    """A library's connection, whose verbs are those of `conformance_suite.applications`."""

    def subscribe(self, *, destination: str, headers: dict[str, str]) -> None: ...

    def unsubscribe(self, *, id: str) -> None: ...

    def send(self, *, destination: str, headers: dict[str, str], body: str) -> None: ...

    def ack(self, *, index: int, headers: dict[str, str]) -> None: ...

    def nack(self, *, index: int, headers: dict[str, str]) -> None: ...

    def begin(self, *, transaction: str) -> None: ...

    def commit(self, *, transaction: str) -> None: ...

    def abort(self, *, transaction: str) -> None: ...

    def leave(self) -> None: ...

    def drop(self) -> None: ...


class Teller:
    """What one connection hears, told to the process that asked. Any thread may tell."""

    def __init__(self, client: int) -> None:
        self._client = client

    def tell(self, command: str, headers: Headers = (), body: str = "") -> None:
        event = {"client": self._client, "command": command, "headers": list(headers), "body": body}
        with _lock:
            sys.stdout.write(f"{json.dumps(event)}\n")
            sys.stdout.flush()


def serve(opened: Callable[[Teller, dict[str, Any]], Connection]) -> None:
    """Carry out commands until there are no more."""
    connections: dict[int, Connection] = {}
    for line in sys.stdin:
        given: dict[str, Any] = json.loads(line)
        client, verb = given.pop("client"), given.pop("verb")
        teller = Teller(client)
        try:
            if verb == "open":
                connections[client] = opened(teller, given)
            else:
                getattr(connections[client], verb)(**given)
        except Exception as error:  # whatever it is, the application sees it
            teller.tell("RAISED", body=type(error).__name__)
