"""STOMP applications have through the gateway what they have at RabbitMQ itself."""

import secrets
from collections.abc import Iterator, Mapping

import pytest

from conformance_suite.applications import APPLICATIONS, Application
from conformance_suite.conversations import CONVERSATIONS, Conversation
from conformance_suite.differences import (
    differences,
    explained,
    explained_of_libraries,
    is_as_explained,
    wrong_with,
)
from conformance_suite.faults import FAULTS, under
from conformance_suite.libraries import LIBRARIES, running
from conformance_suite.library_talk import Heard, hold_all
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


@pytest.fixture(scope="module")
def heard(
    cluster_of_session: Cluster, gateway: GatewayProcess, application: User
) -> Mapping[tuple[str, str], Heard]:
    """What every application heard by every library; at once, because most of it is waiting."""
    chosen = [(library, talk) for talk in APPLICATIONS for library in LIBRARIES]
    direct = cluster_of_session.node(1).web_stomp_url
    return hold_all(chosen, direct, gateway.ws_url, application)


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda each: each.name)
def test_the_gateway_answers_as_rabbitmq_does(
    conversation: Conversation,
    cluster_of_session: Cluster,
    gateway: GatewayProcess,
    application: User,
) -> None:
    direct = hold(conversation, cluster_of_session.node(1).web_stomp_url, application)
    through = hold(conversation, gateway.ws_url, application)
    why = explained(rabbitmq.version()).get(conversation.name)
    assert is_as_explained(differences(direct, through), why), (direct, through)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("talk", APPLICATIONS, ids=lambda each: each.name)
def test_an_application_hears_the_same_by_its_library(
    library: str, talk: Application, heard: Mapping[tuple[str, str], Heard]
) -> None:
    direct, through = heard[library, talk.name]
    is_explained = (library, talk.name) in explained_of_libraries(rabbitmq.version())
    assert bool(differences(direct, through)) == is_explained, (direct, through)


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_that_had_a_receipt_is_lost_under_a_fault(
    fault: str, cluster_of_session: Cluster, gateway: GatewayProcess
) -> None:
    # One library stands for all; scripts/conformance tries each.
    with running("@stomp/stompjs") as library:
        direct, through = under(fault, library, cluster_of_session, gateway.ws_url)
    cluster_of_session.start()
    assert wrong_with(fault, direct, through) == ""
