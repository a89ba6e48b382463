"""An application of RabbitMQ's own users, which knows no rooms: its topic, and their logins."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
AUTH: Final[Mapping[str, Any]] = {"rabbitmq": {"shared": True}}
#: Logins that the clients share, as pages of an application do.
LOGINS: Final = 10

_KEY: Final = "bench.foreign"
#: Only for the body, which is that of all scenarios.
_STREAM: Final = Stream(Audience.PUBLIC, 1)
_EVERYTHING: Final = {"configure": ".*", "write": ".*", "read": ".*"}


class Foreign(Topic):
    """A topic outside the rooms. A plain AMQP producer publishes, whatever the system is."""

    topic = f"/topic/{_KEY}"

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


def logged_in(run: Run, clients: Sequence[Client]) -> list[Client]:
    """The same clients, with logins of RabbitMQ's own users."""
    users = [_user(run, f"bench-page{number}") for number in range(LOGINS)]
    return [
        replace(client, login=who.name, passcode=who.password)
        for index, client in enumerate(clients)
        for who in [users[index % LOGINS]]
    ]


def _user(run: Run, name: str) -> User:
    """https://www.rabbitmq.com/docs/management#http-api"""
    cluster, who = run.lab.cluster, User(name, secrets.token_urlsafe(18))
    for path, body in (
        (f"/api/users/{name}", {"password": who.password, "tags": ""}),
        (f"/api/permissions/%2F/{name}", _EVERYTHING),
    ):
        if cluster.nodes[0].management("PUT", path, cluster.admin, body) is None:
            raise SetupError(f"RabbitMQ refuses PUT {path}")
    return who
