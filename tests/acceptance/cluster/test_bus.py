"""Gateways know each other over RabbitMQ, and tell when one is gone."""

from pathlib import Path

import pytest

from tests.acceptance.broker_view import wait_for
from tests.acceptance.conftest import StartGateway
from tests.acceptance.gateway_process import GatewayProcess

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("fanout", ["shared", "passthrough"])
def test_a_gateway_is_known_until_it_leaves_or_is_silent(
    fanout: str, start_gateway: StartGateway, tmp_path: Path
) -> None:
    def started(number: int) -> GatewayProcess:
        return start_gateway(
            number=number,
            store=f"sqlite:///{tmp_path}/{number}.db",
            extra=f'fanout = "{fanout}"',
            server=f'drain_time = 0.0\nname = "number-{number}"',
        )

    staying, dying = started(0), started(1)
    for each in (staying, dying):
        wait_for(lambda each=each: "gateway_peers 1.0" in each.metrics())  # type: ignore[misc]
    staying.await_logged("gateway number-1-")
    dying.kill()
    wait_for(lambda: "gateway_peers 0.0" in staying.metrics(), within=15.0)
    dying.start()
    wait_for(lambda: "gateway_peers 1.0" in staying.metrics())
    dying.stop()
    wait_for(lambda: "gateway_peers 0.0" in staying.metrics(), within=15.0)
