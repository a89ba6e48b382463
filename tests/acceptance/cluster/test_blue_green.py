"""A gateway goes from one cluster of RabbitMQ to another by SIGHUP, as docs/how-to/rabbitmq.md
tells an operator to upgrade it; both run, and messages come all the time."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devenv import rabbitmq
from devenv.cluster import Cluster
from tests.acceptance.broker_view import nodes_of, queues, wait_for
from tests.acceptance.conftest import StartGateway, connected
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import Closed, StompClient

pytestmark = pytest.mark.cluster

_WAITING = 10
_INTERVAL = 0.05


@pytest.fixture
def green(
    server_folder: Path, cluster_of_session: Cluster, progress: Callable[[str], None]
) -> Iterator[Cluster]:
    """Another cluster with the same accounts, of RabbitMQ's newest version, unless one was asked
    for or the archive has none."""
    version = None if rabbitmq.chosen() else rabbitmq.NEWEST
    try:
        rabbitmq.ensure(progress, version)
    except rabbitmq.NotInArchive:
        version = None
    root = server_folder / "green"
    root.mkdir(exist_ok=True)
    shutil.copy(cluster_of_session.root / "broker-users.json", root)
    made = Cluster(root, 3, auth_url=cluster_of_session.auth_url, version=version)
    made.destroy()
    try:
        made.start()
        yield made
    finally:
        made.destroy()


class Speaker:
    """A member who posts a number every moment, in a thread."""

    def __init__(self, gateway: GatewayProcess, room: int) -> None:
        self._gateway = gateway
        self._room = room
        self._stopped = threading.Event()
        self.statuses: list[int] = []
        self._thread = threading.Thread(target=self._run)

    def wait_for(self, count: int) -> None:
        """Until it has got so many further answers."""
        wanted = len(self.statuses) + count
        wait_for(lambda: len(self.statuses) >= wanted)

    @contextmanager
    def speaking(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(_INTERVAL):
            self.statuses.append(self._gateway.post(self._room, "paul", len(self.statuses))[0])


class Host:
    """A host who acknowledges everything, and connects again when it is told to."""

    def __init__(self, gateway: GatewayProcess, room: int) -> None:
        self._gateway = gateway
        self._destination = f"/queue/{PREFIX}.private.{room}"
        self.heard: list[int] = []
        self._client = self._connected()

    def hear_up_to(self, seq: int) -> None:
        while seq not in self.heard:
            try:
                frame = self._client.receive()
                if frame.command == "MESSAGE":
                    self.heard.append(frame.json["seq"])
                    self._client.send("ACK", {"id": frame.headers["ack"]})
            except (Closed, OSError):
                # Sent away, perhaps before it had read everything.
                self._client.__exit__(None, None, None)
                self._client = self._connected()

    def close(self) -> None:
        self._client.request("DISCONNECT", {})
        self._client.__exit__(None, None, None)

    def _connected(self) -> StompClient:
        client = connected(self._gateway, "hana")
        client.subscribe(self._destination, ack="client-individual")
        return client


def test_changing_over_to_another_cluster_costs_nobody_a_message(
    start_gateway: StartGateway, cluster: Cluster, green: Cluster, tmp_path: Path
) -> None:
    gateway = start_gateway(extra="[limits]\nposts_per_second = 1000.0\nposts_burst = 1000")
    waiting, busy = (gateway.room("hana", "paul") for _ in range(2))
    for number in range(_WAITING):
        assert gateway.post(waiting, "paul", number)[0] == 201
    with connected(gateway, "hana") as away:
        away.subscribe(f"/queue/{PREFIX}.private.{waiting}", ack="client-individual")
        for _ in range(3):
            away.request("ACK", {"id": away.message().headers["ack"]})
        away.request("DISCONNECT", {})
    # The operator's steps, in the order of docs/how-to/rabbitmq.md.
    store = f"sqlite:///{tmp_path}/interact.db"
    coming = GatewayProcess(tmp_path, green, number=1, store=store)
    assert coming.topology("apply")[0] == 0
    host, speaker = Host(gateway, busy), Speaker(gateway, busy)
    with connected(gateway, "paul") as paul, speaker.speaking():
        paul.subscribe(f"/topic/{PREFIX}.public.{busy}")
        speaker.wait_for(10)
        host.hear_up_to(5)
        gateway.use_cluster(green)
        private = {f"{PREFIX}.private.{room}" for room in (waiting, busy)}
        wait_for(lambda: private <= queues(green))
        # Nobody is left on the old one: then it may be stopped.
        wait_for(lambda: not nodes_of(cluster, cluster.gateway.name), within=60)
        speaker.wait_for(20)
        assert speaker.statuses[-1] == 201
        speaker._stopped.set()
        speaker._thread.join()
        said = len(speaker.statuses)
        assert set(speaker.statuses) <= {201, 202}
        heard = [paul.message().json["seq"] for _ in range(said)]
        assert heard == list(range(1, said + 1))
        host.hear_up_to(said)
        # Each at least once; for the first time in their order.
        assert list(dict.fromkeys(host.heard)) == list(range(1, said + 1))
        host.close()
    with connected(gateway, "hana") as hana:
        hana.subscribe(f"/queue/{PREFIX}.private.{waiting}", ack="client-individual")
        again = [hana.message() for _ in range(_WAITING - 3)]
        assert [each.json["body"] for each in again] == list(range(3, _WAITING))
        assert {each.headers["redelivered"] for each in again} == {"true"}
        # And no more of them.
        assert gateway.post(waiting, "paul", "new")[0] == 201
        assert hana.message().json["body"] == "new"
    wait_for(lambda: "gateway_outbox_depth 0.0" in gateway.metrics().splitlines())
    code, told = gateway.command("doctor")
    assert code == 0, told
