"""Revocation over two gateways, with the broker's help and without."""

import time
from collections.abc import Iterator

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import wait_for
from tests.acceptance.conftest import StartGateway, connected
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.logins import SOON
from tests.acceptance.stomp_client import StompClient

pytestmark = [pytest.mark.cluster, pytest.mark.postgres]


@pytest.fixture
def gateways(start_gateway: StartGateway, postgres_url: str) -> list[GatewayProcess]:
    store = postgres_url.replace("+asyncpg", "")
    made = [start_gateway(number=number, store=store) for number in (0, 1)]
    for each in made:
        wait_for(lambda each=each: "gateway_peers 1.0" in each.metrics())  # type: ignore[misc]
    return made


@pytest.fixture
def room(gateways: list[GatewayProcess]) -> int:
    number = gateways[0].room("hana", "paul")
    gateways[0].call("PUT", f"/api/rooms/{number}/members/hugo", {"role": "host"}, user="hana")
    return number


@pytest.fixture
def followers(gateways: list[GatewayProcess], room: int) -> Iterator[dict[str, StompClient]]:
    """On the other gateway than the one where memberships change."""
    other = gateways[1]
    with connected(other, "paul") as paul, connected(other, "hugo") as hugo:
        paul.subscribe(f"/topic/{PREFIX}.public.{room}")
        hugo.subscribe(f"/topic/{PREFIX}.private.{room}")
        yield {"paul": paul, "hugo": hugo}


def _ends(client: StompClient, why: str, began: float) -> None:
    error, code = client.error()
    assert (error.headers["message"], code) == (why, 4003)
    assert time.monotonic() - began < SOON


def test_sessions_that_end_on_one_gateway_end_on_the_other(
    gateways: list[GatewayProcess], room: int, followers: dict[str, StompClient]
) -> None:
    here, there = gateways
    began = time.monotonic()
    assert here.call("DELETE", f"/api/rooms/{room}/members/paul", user="hana")[0] == 204
    _ends(followers["paul"], "removed", began)
    began = time.monotonic()
    demotion = {"role": "participant"}
    assert here.call("PUT", f"/api/rooms/{room}/members/hugo", demotion, user="hana")[0] == 200
    _ends(followers["hugo"], "removed", began)
    with connected(there, "hugo") as hugo:
        hugo.subscribe(f"/topic/{PREFIX}.public.{room}")
        began = time.monotonic()
        assert here.call("DELETE", f"/api/rooms/{room}", user="hana")[0] == 204
        _ends(hugo, "room_closed", began)


def test_a_member_added_on_one_gateway_comes_in_at_once_on_the_other(
    gateways: list[GatewayProcess], room: int, followers: dict[str, StompClient]
) -> None:
    here, there = gateways
    refused = there.call("GET", f"/api/rooms/{room}", user="nina")
    assert refused[0] == 403
    member = {"role": "participant"}
    assert here.call("PUT", f"/api/rooms/{room}/members/nina", member, user="hana")[0] == 200
    wait_for(lambda: there.call("GET", f"/api/rooms/{room}", user="nina")[0] == 200, within=SOON)


def test_a_removal_needs_no_broker_to_end_what_is_live_on_the_other(
    gateways: list[GatewayProcess],
    room: int,
    followers: dict[str, StompClient],
    cluster: Cluster,
) -> None:
    for node in cluster.nodes:
        cluster.stop_node(node.number)
    began = time.monotonic()
    assert gateways[0].call("DELETE", f"/api/rooms/{room}/members/paul", user="hana")[0] == 204
    _ends(followers["paul"], "removed", began)
