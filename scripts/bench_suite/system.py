"""A system under measurement: a running way for clients to RabbitMQ."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench_suite.subscriber import Client
from devenv.broker_users import User
from devenv.cluster import Cluster
from devenv.postgres import Postgres
from devenv.tls import Pair

Progress = Callable[[str], None]

_DATABASE: Final = "bench"
#: Runs that failed whose logs are kept.
_KEPT: Final = 10


def progress() -> Progress:
    """Prints a line with the seconds since now."""
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    return say


@dataclass(frozen=True)
class Lab:
    """The place of all measurements. ``pair`` is for systems that speak TLS."""

    cluster: Cluster
    folder: Path
    pair: Pair
    #: Subscribers at most; what limits connections is set up for so many.
    capacity: int
    progress: Progress
    #: Where messages are kept; None: in a file of SQLite for each system.
    postgres: Postgres | None = None

    @contextmanager
    def store(self) -> Iterator[str]:
        """The URL of an empty database for one system; empty: it makes its own file."""
        if self.postgres is None:
            yield ""
            return
        self.postgres.create_database(_DATABASE)
        try:
            yield self.postgres.url(_DATABASE)
        finally:
            self.postgres.drop_database(_DATABASE)

    def keep_logs(self, name: str) -> Path:
        """Copy all logs aside, as the next measurement begins new ones; the folder. Of others like
        it only the newest stay."""
        parent = self.folder.parent / "kept"
        place = parent / f"{time.strftime('%Y%m%d-%H%M%S')}-{name.replace(' ', '-')}"
        for log in (*self.folder.glob("*.log"), *(node.daemon.log for node in self.cluster.nodes)):
            if log.is_file():
                copy = place / f"{log.parent.name}-{log.name}"
                place.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(log, copy)
        for old in sorted(parent.glob("*"))[:-_KEPT]:
            shutil.rmtree(old)
        return place


@dataclass(frozen=True)
class Door:
    """A running system as its clients see it: how `clients` connect, and its `pids`."""

    name: str
    #: host and port, one for each client in turn.
    addresses: Sequence[tuple[str, int]]
    pids: Sequence[int]
    #: Who the client of an index is: login and passcode.
    who: Callable[[int], User]
    #: Trusted, if it speaks TLS.
    authority: Path | None = None
    #: Where messages are posted, if it is a gateway.
    http: int | None = None

    def clients(self, count: int) -> list[Client]:
        """Clients that only connect, spread over the addresses."""
        made = []
        for index in range(count):
            host, port = self.addresses[index % len(self.addresses)]
            user = self.who(index)
            made.append(Client(host, port, user.name, user.password))
        return made

    def subscribers(self, count: int, topic: str) -> list[Client]:
        """Clients that subscribe to one topic."""
        return [
            replace(client, subscribe=topic, destination=topic) for client in self.clients(count)
        ]
