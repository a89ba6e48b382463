"""A gateway that alone has lost the broker: packets vanish, and all else is well."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from devenv.cluster import Cluster
from tests.acceptance.broker_view import wait_for
from tests.acceptance.conftest import StartGateway, connected
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.cable import Cable

pytestmark = [pytest.mark.cluster, pytest.mark.postgres]


@pytest.fixture
def cables(cluster: Cluster) -> Iterator[dict[int, Cable]]:
    """Cables to the first node's ports, by port."""
    node = cluster.node(1)
    with ExitStack() as stack:
        laid = {}
        for number, port in enumerate((node.web_stomp_port, node.amqp_port)):
            laid[port] = Cable(cluster.gateway_port(6 + number), port)
            stack.enter_context(laid[port].laid())
        yield laid


def test_it_is_not_ready_and_its_clients_go_on_by_the_database_and_the_other_gateway(
    start_gateway: StartGateway, postgres_url: str, cluster: Cluster, cables: dict[int, Cable]
) -> None:
    def through(port: int) -> int:
        return int(cables[port].url.rpartition(":")[2])

    def options(number: int) -> dict[str, str]:
        server = f'name = "gateway-{number}"\ndrain_time = 0.0'
        return {"store": postgres_url.replace("+asyncpg", ""), "server": server}

    def readiness(gateway: GatewayProcess) -> tuple[int, object]:
        return gateway.call("GET", "/readyz")[:2]

    hears = start_gateway(number=0, **options(0))
    deaf = start_gateway(number=1, nodes=(1,), through=through, **options(1))
    room = hears.room("hana", "paul")
    topic = f"/topic/{PREFIX}.public.{room}"
    with connected(hears, "hana") as hana, connected(deaf, "paul") as paul:
        for client in (hana, paul):
            client.subscribe(topic)
        assert hears.post(room, "hana", "before")[0] == 201
        assert [wait_for(each.message).json["body"] for each in (hana, paul)] == ["before"] * 2
        for cable in cables.values():
            cable.hold()
        wait_for(lambda: readiness(deaf), wanted=(503, "unavailable").__eq__)
        assert readiness(hears) == (200, "ready")
        hears.post(room, "hana", "to the deaf")
        assert wait_for(paul.message).json["body"] == "to the deaf"
        assert deaf.post(room, "paul", "from the deaf")[0] in (201, 202)
        assert wait_for(hana.message).json["body"] == "to the deaf"
        assert wait_for(hana.message).json["body"] == "from the deaf"
        # Out, although no order reaches it over RabbitMQ.
        removed = f"/api/rooms/{room}/members/paul"
        assert hears.call("DELETE", removed, user="hana")[0] == 204
        assert wait_for(paul.message).json["body"] == "from the deaf"
        assert paul.error()[1] == 4003
        for cable in cables.values():
            cable.release()
        wait_for(lambda: readiness(deaf), wanted=(200, "ready").__eq__)
