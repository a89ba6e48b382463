"""HTTP while the whole cluster hangs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import wait_for
from tests.acceptance.conftest import StartGateway, connected
from tests.acceptance.gateway_process import PREFIX

pytestmark = pytest.mark.cluster


@pytest.fixture
def hanging(cluster: Cluster) -> Iterator[Cluster]:
    """Pauses nodes on demand; they run again when the test is over."""
    yield cluster
    for number in (1, 2, 3):
        cluster.resume_node(number)


def test_without_the_broker_a_room_is_made_and_its_queue_follows(
    start_gateway: StartGateway, hanging: Cluster
) -> None:
    gateway = start_gateway()
    for number in (1, 2, 3):
        hanging.pause_node(number)
    began = time.monotonic()
    status, room = gateway.call("POST", "/api/rooms", {"title": "x"}, user="hana", roles=("host",))
    assert (status, time.monotonic() - began < 5) == (202, True)
    _, mine = gateway.call("GET", "/api/rooms", user="hana")
    assert [each["id"] for each in mine["rooms"]] == [room["id"]]
    assert gateway.post(room["id"], "hana", "said meanwhile")[0] == 202
    # It has been ready: what it accepts is kept, so it stays in service.
    assert gateway.call("GET", "/readyz") == (200, "ready")
    for number in (1, 2, 3):
        hanging.resume_node(number)
    hanging.wait_ready()

    def made() -> int:
        return gateway.call("POST", "/api/rooms", {"title": "y"}, user="hana", roles=("host",))[0]

    wait_for(made, wanted=lambda status: status == 201, within=30)
    wait_for(lambda: gateway.post(room["id"], "hana", "later")[0] == 201, within=30)
    with connected(gateway, "hana") as hana:
        hana.subscribe(f"/queue/{PREFIX}.private.{room['id']}")
        assert hana.message().json["body"] == "said meanwhile"
