"""An application of RabbitMQ's own users, which knows no rooms: its topic, and their logins."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Final

from bench_suite import messages
from bench_suite.flood import ready_made
from bench_suite.run import Run
from bench_suite.subscriber import Client
from bench_suite.topic import Topic
from broker.publishing.publication import Publication
from broker.topology import Audience, Stream
from devenv.broker_users import User
from devenv.errors import SetupError

#: How the gateway lets them in, and reads a topic once for all of them.
TABLES: Final[Mapping[str, Mapping[str, Any]]] = {"auth": {"rabbitmq": {"shared": True}}}
#: Logins that the clients share, as pages of an application do.
LOGINS: Final = 10

_KEY: Final = "bench.foreign"
#: Only for the body, which is that of all scenarios.
_STREAM: Final = Stream(Audience.PUBLIC, 1)
_EVERYTHING: Final = {"configure": ".*", "write": ".*", "read": ".*"}


class Foreign(Topic):
    """A topic outside the rooms. A plain AMQP producer publishes, whatever the system is."""

    topic = f"/topic/{_KEY}"

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._cluster = run.lab.cluster
        self._users: list[User] = []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        # Others use the cluster afterwards, and look at who may enter it.
        gone = [self._managed("DELETE", f"/api/users/{who.name}") for who in self._users]
        if error is None and not all(gone):
            raise SetupError("RabbitMQ does not delete the benchmark's users (bench-page…)")

    def logged_in(self, clients: Sequence[Client]) -> list[Client]:
        """The same clients, with logins of RabbitMQ's own users. They are gone at the end."""
        while len(self._users) < LOGINS:
            self._users.append(self._user(f"bench-page{len(self._users)}"))
        return [
            replace(client, login=who.name, passcode=who.password)
            for index, client in enumerate(clients)
            for who in [self._users[index % LOGINS]]
        ]

    def _user(self, name: str) -> User:
        who = User(name, secrets.token_urlsafe(18))
        for path, body in (
            (f"/api/users/{name}", {"password": who.password, "tags": ""}),
            (f"/api/permissions/%2F/{name}", _EVERYTHING),
        ):
            if not self._managed("PUT", path, body):
                raise SetupError(f"RabbitMQ refuses PUT {path}")
        return who

    def _managed(self, method: str, path: str, body: object = None) -> bool:
        """https://www.rabbitmq.com/docs/management#http-api"""
        cluster = self._cluster
        return cluster.nodes[0].management(method, path, cluster.admin, body) is not None

    def publish(self) -> None:
        self.flood.publish([self._next(self.published + 1)])
        self.flood.confirm()
        self.published += 1

    def stock(self, count: int) -> list[bytes]:
        return [self._next(self.published + 1 + index) for index in range(count)]

    def _next(self, number: int) -> bytes:
        made = messages.draft(_STREAM, "producer").numbered(number)
        # By this header subscribers are checked; to RabbitMQ and the gateway it says nothing.
        headers = {"seq": str(number)}
        return ready_made(Publication(_KEY, made.encode(), str(made.id), headers))
