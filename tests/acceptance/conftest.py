"""Real gateways in front of the real cluster."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from devenv.cluster import Cluster
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.stomp_client import StompClient

Connect = Callable[..., StompClient]
StartGateway = Callable[..., GatewayProcess]


@pytest.fixture
def start_gateway(tmp_path: Path, cluster: Cluster) -> Iterator[StartGateway]:
    """Starts a gateway that is ready; see :class:`GatewayProcess` for what it takes."""
    with ExitStack() as stack:

        def start(**options: object) -> GatewayProcess:
            process = GatewayProcess(tmp_path, cluster, **options)  # type: ignore[arg-type]
            stack.callback(process.kill)
            process.start()
            process.await_ready()
            return process

        yield start


@pytest.fixture
def gateway(start_gateway: StartGateway) -> GatewayProcess:
    """One gateway on SQLite, ready, as in a first installation."""
    return start_gateway()


@pytest.fixture
def connect(gateway: GatewayProcess) -> Iterator[Connect]:
    """Opens a STOMP connection as a user, closed with the test."""
    with ExitStack() as stack:

        def open_as(user: str, *roles: str, **headers: str) -> StompClient:
            client = stack.enter_context(StompClient(gateway.ws_url))
            answer = client.connect(gateway.token(user, *roles), **headers)
            assert answer.command == "CONNECTED", answer
            return client

        yield open_as
