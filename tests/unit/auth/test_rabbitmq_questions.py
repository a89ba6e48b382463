"""RabbitMQ's refusals of a login: those that are final, and those of the moment."""

import asyncio
from contextlib import suppress
from random import Random
from typing import NoReturn

import pytest

from broker.dialling import LoginRefused
from broker.nodes.balancer import Balancer
from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from gateway.auth import rabbitmq_questions
from gateway.auth.rabbitmq_questions import Questions
from gateway.errors import BrokerUnavailable, WrongLogin

_LOGIN = Credentials("app", "secret", "/")


def asked(said: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The nodes that are asked one after the other when each says so."""
    nodes = [Node(name, "ws://localhost/ws", "amqp://localhost") for name in ("r1", "r2")]
    found = []

    async def refuse(node: Node, *_: object, **__: object) -> NoReturn:
        found.append(node.name)
        raise LoginRefused(node.name, said)

    monkeypatch.setattr(rabbitmq_questions, "may_read", refuse)
    rng = Random(1)  # noqa: S311 - it is to be repeatable
    balancer = Balancer(nodes, clock=lambda: 0.0, rng=rng)
    with suppress(BrokerUnavailable):
        asyncio.run(Questions(balancer, 1.0, None, rng)(_LOGIN, []))
    return sorted(found)


@pytest.mark.parametrize(
    "said",
    [
        "530 NOT_ALLOWED - access to vhost '/' refused for user 'a': "
        "connection limit (5) is reached",
        "530 NOT_ALLOWED - Connection refused for user 'app': user connection limit (1) is reached",
        "530 NOT_ALLOWED - connection refused: node connection limit (0) is reached",
        "541 INTERNAL_ERROR - access to vhost '/' refused for user 'app': vhost '/' is down",
    ],
)
def test_for_the_moment_another_node_is_asked(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(said, monkeypatch) == ["r1", "r2"]


@pytest.mark.parametrize(
    "said",
    [
        "403 ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.",
        "530 NOT_ALLOWED - access to vhost 'limited' refused for user 'app'",
        "530 NOT_ALLOWED - access to vhost '/' refused for user 'what is down'",
        "530 NOT_ALLOWED - access to vhost '/' refused for user 'connection limit (5) is reached'",
        "530 NOT_ALLOWED - vhost unlimited not found",
    ],
)
def test_what_is_final_is_final_whatever_names_it_quotes(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WrongLogin):
        asked(said, monkeypatch)
