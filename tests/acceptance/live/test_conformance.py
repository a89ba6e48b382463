"""Conversations of STOMP applications give through the gateway what RabbitMQ itself gives."""

import secrets
from collections.abc import Iterator

import pytest

from conformance_suite.conversations import CONVERSATIONS, Conversation
from conformance_suite.differences import differences, explained
from conformance_suite.talk import hold
from devenv import rabbitmq
from devenv.broker_users import User
from devenv.cluster import Cluster
from tests.acceptance.broker_accounts import Accounts
from tests.acceptance.gateway_process import GatewayProcess


@pytest.fixture(scope="module")
def gateway_options() -> dict[str, object]:
    return {"auth": "[auth.rabbitmq]"}


@pytest.fixture(scope="module")
def application(cluster_of_session: Cluster) -> Iterator[User]:
    """One of RabbitMQ's own users, who may do everything."""
    made = Accounts(cluster_of_session)
    user = User("webapp", secrets.token_urlsafe(18))
    made.user(user.name, user.password)
    made.permit(user.name)
    yield user
    made.clean_up()


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda each: each.name)
def test_the_gateway_answers_as_rabbitmq_does(
    conversation: Conversation,
    cluster_of_session: Cluster,
    gateway: GatewayProcess,
    application: User,
) -> None:
    direct = hold(conversation, cluster_of_session.node(1).web_stomp_url, application)
    through = hold(conversation, gateway.ws_url, application)
    is_explained = conversation.name in explained(rabbitmq.version())
    assert bool(differences(direct, through)) == is_explained, (direct, through)
