"""Real gateways in front of the real cluster."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from devenv.cluster import Cluster
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.stomp_client import StompClient

Connect = Callable[..., StompClient]
StartGateway = Callable[..., GatewayProcess]


@contextmanager
def gateways_in(folder: Path, cluster: Cluster, *, presence: bool) -> Iterator[StartGateway]:
    """A block that can start gateways with their files in the folder; they end with it."""
    with ExitStack() as stack:

        def start(**options: object) -> GatewayProcess:
            chosen = {"presence": presence} | options
            process = GatewayProcess(folder, cluster, **chosen)  # type: ignore[arg-type]
            stack.callback(process.assert_log_is_clean)
            stack.callback(process.kill)
            process.start()
            process.await_ready()
            return process

        yield start


@pytest.fixture(scope="session")
def presence() -> bool:
    """Whether gateways announce presence; a folder may override it."""
    return False


@pytest.fixture
def start_gateway(tmp_path: Path, cluster: Cluster, presence: bool) -> Iterator[StartGateway]:
    """Starts a gateway that is ready; see :class:`GatewayProcess` for what it takes.

    Number 0 is for one at a time: not in a module that also takes `gateway`.
    """
    with gateways_in(tmp_path, cluster, presence=presence) as start:
        yield start


@pytest.fixture(scope="module")
def gateway_options() -> dict[str, object]:
    """The configuration of `gateway`; a module may override it."""
    return {}


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory,
    cluster_of_session: Cluster,
    gateway_options: dict[str, object],
    presence: bool,
) -> Iterator[GatewayProcess]:
    """One gateway on SQLite for the module, ready, as in a first installation."""
    folder = tmp_path_factory.mktemp("gateway")
    with gateways_in(folder, cluster_of_session, presence=presence) as start:
        yield start(**gateway_options)
    cluster_of_session.mend()


@pytest.fixture
def connect(gateway: GatewayProcess) -> Iterator[Connect]:
    """Opens a STOMP connection as a user, closed with the test."""
    with ExitStack() as stack:

        def open_as(user: str, *roles: str, **headers: str) -> StompClient:
            return stack.enter_context(connected(gateway, user, *roles, **headers))

        yield open_as


def connected(gateway: GatewayProcess, user: str, *roles: str, **headers: str) -> StompClient:
    """A STOMP connection as a user."""
    client = StompClient(gateway.ws_url)
    answer = client.connect(gateway.token(user, *roles), **headers)
    assert answer.command == "CONNECTED", answer
    return client
