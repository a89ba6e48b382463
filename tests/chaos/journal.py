"""The journal of what all clients saw, one JSON object per line: written in a run, judged after it.

Every event has `t` (Unix time) and `what`:

    client   who, kind ("topic" or "queue"), room, audience (topic) — before anything else of `who`
    up       who, gateway                       subscribed: the RECEIPT has come
    stall, flow who                             the client stops reading, and reads on
    message  who, room, audience, seq, id, sent what the frame's headers and its body say
    garbled  who, why                           a frame that breaks the contract
    down     who, gateway, up, own, code, why   the connection is gone; `up`: it was subscribed;
                                                `own`: the client itself cut it; `code`: of the
                                                Close frame, null without one
    attempt  id, room, audience, gateway        a POST or SEND goes out
    answer   id, gateway, status, seq, took     its answer; status null: none came; seq null: it was
                                                a RECEIPT
    removed  who, orders, gateway, took, code   who followed a room at `gateway` was removed from it
                                                at `orders`, which said that it is done; so many
                                                seconds later the socket was closed (null: not
                                                while it was watched), with this code
    sample   gateway, pid, memory, descriptors, a look at a gateway: bytes, open files, WebSockets,
             connections, tasks, outbox,        tasks, messages it has not published, bytes of
             database, failures, ready,         SQLite's files, failed work (name: times); what it
             failing, peers                     says: whether it is ready, the parts that fail, how
                                                many other gateways it hears
    broker   queues, connections, memory        a look at RabbitMQ, all nodes together
    crowd    standing, subscribed, failed       sockets that come and go: now, in all, not let in
    lag      late                               seconds: the machine was too busy to wake us in time
    begin, end, recovered   fault, kind, target breaking, mending begins, everything is as before
    operator fault, why                         what had to be done by hand
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

Event = dict[str, Any]

_SAID = frozenset({"begin", "end", "recovered", "operator"})


class Journal:
    """Appends to an open file; `say` is told of faults as they happen."""

    def __init__(self, file: TextIO, *, say: Callable[[str], None]) -> None:
        self._file = file
        self._say = say
        self._writing = threading.Lock()

    def note(self, what: str, **fields: object) -> None:
        if what in _SAID:
            self._say(" ".join(map(str, (what, *fields.values()))))
        line = json.dumps({"t": time.time(), "what": what, **fields}) + "\n"
        # Threads that write to one text file at the same time may write freed memory into it:
        # https://github.com/python/cpython/issues/119506
        with self._writing:
            self._file.write(line)


def read(path: Path) -> Iterator[Event]:
    """The events of a file, in the order in which they happened."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
