"""A node that hangs, a node that dies, a session that is ended, while an application works.

The application sends numbered messages to a quorum queue, each with a receipt, and takes them from
there, each acknowledged. When its connection ends it connects again, as libraries do, and sends
again what no receipt has come for. RabbitMQ itself and the gateway get the same fault at the same
time.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

from conformance_suite.libraries import Connection, Library, ending
from conformance_suite.outcome import Outcome
from devenv.broker_users import User
from devenv.cluster import Cluster
from devenv.errors import SetupError

#: Messages, those of them that are sent before the fault, and those that may wait for receipts.
_COUNT: Final = 60
_BEFORE: Final = 20
_WINDOW: Final = 5
#: Seconds that a node hangs, that everything may take, and between two attempts to connect.
_HANGS: Final = 4.0
_PATIENCE: Final = 90.0
_AGAIN: Final = 0.3
#: Seconds between two looks at the management API.
_LOOK: Final = 0.1

Strike = Callable[[Cluster, int, str], None]


def _session_ends(cluster: Cluster, node: int, user: str) -> None:
    for session in _sessions(cluster, user):
        path = f"/api/connections/{quote(session['name'])}"
        cluster.node(1).management("DELETE", path, cluster.admin)


def _node_hangs(cluster: Cluster, node: int, user: str) -> None:
    cluster.pause_node(node)
    threading.Timer(_HANGS, cluster.resume_node, [node]).start()


def _node_dies(cluster: Cluster, node: int, user: str) -> None:
    cluster.kill_node(node)


FAULTS: Final[Mapping[str, Strike]] = {
    "the session is ended": _session_ends,
    "the node hangs for four seconds": _node_hangs,
    "the node is killed": _node_dies,
}


def under(fault: str, library: Library, cluster: Cluster, gateway: str) -> tuple[Outcome, Outcome]:
    """What the application has been through with RabbitMQ itself, and through the gateway."""
    with _user(cluster) as who:
        through = _Worker(library, [gateway], who, _queue(cluster, who))
        through.begin()
        _wait_for(lambda: bool(_sessions(cluster, who.name)), f"the session of {who.name}")
        number = int(_sessions(cluster, who.name)[0]["node"].removeprefix("r").partition("@")[0])
        # The same node for the other one; when that is gone, the next ones.
        nodes = [cluster.nodes[(number - 1 + step) % cluster.size] for step in range(cluster.size)]
        direct = _Worker(library, [node.web_stomp_url for node in nodes], who, _queue(cluster, who))
        direct.begin()
        _wait_for(lambda: len(_sessions(cluster, who.name)) > 1, f"the sessions of {who.name}")
        workers = [direct, through]
        threads = [threading.Thread(target=worker.work) for worker in workers]
        for thread in threads:
            thread.start()
        for worker in workers:
            worker.warm.wait(_PATIENCE)
        for worker in workers:
            worker.all_of_it.set()
        FAULTS[fault](cluster, number, who.name)
        for thread in threads:
            thread.join()
    return direct.outcome, through.outcome


class _Worker:
    """An application that sends and takes; ``warm`` once enough has come back for the fault."""

    def __init__(self, library: Library, urls: Sequence[str], who: User, destination: str) -> None:
        self.outcome = Outcome()
        self.warm = threading.Event()
        self.all_of_it = threading.Event()
        self._library = library
        self._urls = urls
        self._who = who
        self._destination = destination
        self._connection: Connection
        self._ready = False
        self._opened = 0
        self._heard = 0
        self._sent: set[str] = set()

    def begin(self) -> None:
        """Connect and subscribe. Raises `SetupError` if that is not possible."""
        self._open()
        until = time.monotonic() + _PATIENCE
        while not self._ready:
            if not self._step(until):
                raise SetupError(f"{self._library.name} could not subscribe in {_PATIENCE:g} s")

    def work(self) -> None:
        """Send and take everything, whatever happens."""
        try:
            self._work()
        except SetupError as error:
            # Raised in a thread, it would be nobody's.
            self.outcome.failure = str(error)
        finally:
            self.warm.set()

    def _work(self) -> None:
        until = time.monotonic() + _PATIENCE
        # The RECEIPT of an acknowledgement may be lost with the connection, and is not sent again.
        while len(self.outcome.receipted) < _COUNT or self.outcome.lost:
            self._send()
            if len(self.outcome.came) >= _BEFORE // 2:
                self.warm.set()
            if not self._step(until):
                self.outcome.failure = f"not through after {_PATIENCE:g} s"
                break
        self._connection.do("leave", {})

    def _open(self) -> None:
        self._connection = self._library.connection()
        self._ready = False
        self._heard = 0
        self._sent = set()
        headers = {"login": self._who.name, "passcode": self._who.password, "host": "/"}
        url = self._urls[self._opened % len(self._urls)]
        self._opened += 1
        self._connection.do("open", {"url": url, "headers": headers})

    def _send(self) -> None:
        """Send what is not safe and not on its way."""
        last = _COUNT if self.all_of_it.is_set() else _BEFORE
        waiting = len(self._sent - self.outcome.receipted)
        for number in map(str, range(1, last + 1)):
            if not self._ready or waiting >= _WINDOW:
                return
            if number not in self.outcome.receipted and number not in self._sent:
                self._sent.add(number)
                waiting += 1
                given: dict[str, Any] = {"destination": self._destination, "body": number}
                self._connection.do("send", given | {"headers": {"receipt": f"sent-{number}"}})

    def _step(self, until: float) -> bool:
        """Take the next event, if there is one soon; False when the time is over."""
        found = self._connection.event(_LOOK)
        if found is None:
            return time.monotonic() < until
        match found.command:
            case "CONNECTED":
                headers = {"id": "s", "ack": "client-individual", "receipt": "subscribed"}
                given = {"destination": self._destination, "headers": headers}
                self._connection.do("subscribe", given)
            case "MESSAGE":
                body = found.body.decode()
                self.outcome.came.add(body)
                self._connection.do(
                    "ack", {"index": self._heard, "headers": {"receipt": f"taken-{body}"}}
                )
                self._heard += 1
            case "RECEIPT":
                self._received(found.header("receipt-id"))
            case "ERROR":
                text = f"{found.header('message')}: {found.body.decode(errors='replace')}"
                self.outcome.ends.append(f"ERROR {text}")
            case "CLOSED":
                self.outcome.ends.append(ending(found))
                time.sleep(_AGAIN)
                self._open()
        return True

    def _received(self, receipt: str) -> None:
        kind, _, number = receipt.partition("-")
        if kind == "subscribed":
            self._ready = True
        elif kind == "sent":
            self.outcome.receipted.add(number)


@contextmanager
def _user(cluster: Cluster) -> Iterator[User]:
    """A user of one application's own, so that its sessions are found by the name."""
    who = User(f"conformance-{secrets.token_hex(4)}", secrets.token_urlsafe(18))
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    _call(cluster, "PUT", f"/api/users/{who.name}", {"password": who.password, "tags": ""})
    _call(cluster, "PUT", f"/api/permissions/%2F/{who.name}", everything)
    try:
        yield who
    finally:
        for node in cluster.nodes:
            if node.daemon.alive() and not node.daemon.paused():
                node.management("DELETE", f"/api/users/{who.name}", cluster.admin)
                break


def _queue(cluster: Cluster, who: User) -> str:
    """A new queue that survives a node."""
    name = f"{who.name}-{secrets.token_hex(4)}"
    body = {"durable": True, "arguments": {"x-queue-type": "quorum"}}
    _call(cluster, "PUT", f"/api/queues/%2F/{name}", body)
    return f"/amq/queue/{name}"


def _call(cluster: Cluster, method: str, path: str, body: object) -> None:
    if cluster.node(1).management(method, path, cluster.admin, body) is None:
        raise SetupError(f"RabbitMQ refuses {method} {path}")


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise SetupError(f"RabbitMQ does not know {what}")
        time.sleep(_LOOK)


def _sessions(cluster: Cluster, user: str) -> list[Mapping[str, str]]:
    """A user's STOMP sessions, by name and node: the gateway asks about users by AMQP, too."""
    columns = "/api/connections?columns=name,user,node,protocol"
    found: Sequence[Mapping[str, str]] = (
        cluster.node(1).management("GET", columns, cluster.admin) or []
    )
    return [
        each
        for each in found
        if each.get("user") == user and "STOMP" in each.get("protocol", "").upper()
    ]
