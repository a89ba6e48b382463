"""HTTP while the whole cluster hangs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import queues, wait_for
from tests.acceptance.conftest import StartGateway
from tests.acceptance.gateway_process import PREFIX

pytestmark = pytest.mark.cluster


@pytest.fixture
def hanging(cluster: Cluster) -> Iterator[Cluster]:
    """Pauses nodes on demand; they run again when the test is over."""
    yield cluster
    for number in (1, 2, 3):
        cluster.resume_node(number)


def test_without_the_broker_no_room_is_made_and_later_one_is(
    start_gateway: StartGateway, hanging: Cluster
) -> None:
    gateway = start_gateway()
    before = _private_queues(hanging)
    for number in (1, 2, 3):
        hanging.pause_node(number)
    status, problem = gateway.call(
        "POST", "/api/rooms", {"title": "x"}, user="hana", roles=("host",)
    )
    assert (status, problem["code"]) == (503, "broker_unavailable")
    assert gateway.call("GET", "/api/rooms", user="hana") == (200, {"rooms": []})
    # It has been ready: what it accepts is kept, so it stays in service.
    assert gateway.call("GET", "/readyz") == (200, "ready")
    for number in (1, 2, 3):
        hanging.resume_node(number)
    hanging.wait_ready()

    def made() -> int:
        return gateway.call("POST", "/api/rooms", {"title": "y"}, user="hana", roles=("host",))[0]

    wait_for(made, wanted=lambda status: status == 201, within=30)
    assert len(_private_queues(hanging) - before) == 1


def _private_queues(cluster: Cluster) -> set[str]:
    return {name for name in queues(cluster) if name.startswith(f"{PREFIX}.private.")}
