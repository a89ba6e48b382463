"""A private RabbitMQ cluster of ordinary processes on loopback; no system broker is touched.

Everything lives under one folder: configuration, data, logs, cookie, accounts. A second start
reuses all of it. Methods block; from an event loop call them in an executor.
"""

import json
import secrets
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import quote

from devenv import broker_users, ports
from devenv.broker_node import Node
from devenv.broker_users import ADMIN, GATEWAY, User
from devenv.daemon import Daemon
from devenv.errors import SetupError

Progress = Callable[[str], None]

#: Seconds that a node may take to start on a slow, busy machine. Its death is noticed at once.
START_TIMEOUT = 180.0
STOP_TIMEOUT = 30.0
#: Seconds for a cluster that has run before to be whole again.
MEND_TIMEOUT = 60.0

_SMALL = {
    "vm_memory_high_watermark.absolute": "1GB",
    "disk_free_limit.absolute": "50MB",
    "raft.wal_max_size_bytes": "67108864",
    "log.console": "false",
}


class Cluster:
    """RabbitMQ servers r1@localhost … rN@localhost under the folder `root`.

    `port_base` is the first of `ports.BLOCK` ports; if they are taken, or none is named, others
    are chosen and remembered. `auth_url` is the address that RabbitMQ asks about permissions (the
    gateway's internal listener, without the last path segment); by default on `gateway_port(0)`.
    `version`: of RabbitMQ, if it is not the chosen one.
    """

    def __init__(
        self,
        root: Path,
        nodes: int,
        *,
        port_base: int | None = None,
        auth_url: str | None = None,
        version: str | None = None,
        progress: Progress = lambda text: None,
    ) -> None:
        self.root = root.resolve()
        self.size = nodes
        self._progress = progress
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._users = broker_users.load_or_create(self.root / "broker-users.json")
        self._base = self._remembered_base(port_base)
        self.auth_url = auth_url or f"http://127.0.0.1:{self.gateway_port(0)}/broker/auth"
        self._epmd = Daemon(f"{self.root}:epmd", self.root / "epmd.log")
        self.nodes = [
            Node(number, self.root, self._base + 10 * number, self._base, version)
            for number in range(1, nodes + 1)
        ]

    @property
    def admin(self) -> User:
        """The administrator, for the management API and as an oracle in tests."""
        return self._users[ADMIN]

    @property
    def gateway(self) -> User:
        """The account of the gateway itself."""
        return self._users[GATEWAY]

    def gateway_port(self, index: int) -> int:
        """One of nine ports (0 … 8) kept free beside the cluster's for gateways."""
        return self._base + 1 + index

    def cable_port(self, index: int) -> int:
        """One of ten ports (0 … 9) kept free for what stands between gateways and nodes."""
        return self._base + 10 * (self.size + 1) + index

    def node(self, number: int) -> Node:
        """The node with this number, 1 … N."""
        return self.nodes[number - 1]

    def running(self) -> list[int]:
        """The numbers of the nodes whose process runs, paused or not."""
        return [node.number for node in self.nodes if node.daemon.alive()]

    def start(self, *, within: float = START_TIMEOUT) -> None:
        """Start the nodes that do not run, and wait until all of them serve as one cluster.

        Raises `SetupError` with the end of the node's log when a node dies twice, or is not ready
        in time (seconds).
        """
        formed = self.root / "formed"
        if not formed.exists():
            self._discard_nodes()
        self._prepare()
        # Only the very first start needs an order: the others join what the first one founds.
        founders = self.nodes if formed.exists() else self.nodes[:1]
        for group in (founders, self.nodes[len(founders) :]):
            self._spawn(group)
            self._wait_ready(group, within=within)
        formed.touch()

    def mend(self) -> None:
        """Start all nodes and delete all queues. A cluster that does not come together again is
        made anew: RabbitMQ 3.10 sometimes cannot after a node hung or all were killed."""
        try:
            self.start(within=MEND_TIMEOUT)
            self.delete_queues()
        except SetupError as error:
            self._progress(f"RabbitMQ is made anew: {str(error).splitlines()[0]}")
            self.destroy()
            self.start()

    def stop(self) -> None:
        """Stop every node in an orderly way, and the port mapper."""
        alive = [node for node in self.nodes if node.daemon.alive()]
        for node in alive:
            node.daemon.terminate()
        for node in alive:
            self._progress(f"stopping RabbitMQ {node.name}")
            node.daemon.wait_gone(STOP_TIMEOUT)
        self._epmd.stop(5)

    def destroy(self) -> None:
        """Kill everything and delete the data; accounts and ports stay."""
        (self.root / "formed").unlink(missing_ok=True)
        self._discard_nodes()
        self._epmd.stop(5)

    def delete_queues(self) -> None:
        """Delete every queue with its messages, so that the next test finds none.

        Exclusive ones stay, since nobody but their connection may delete them, and end with it.
        """
        node = self.nodes[0]
        deadline = time.monotonic() + STOP_TIMEOUT
        # Asked again until it is so: a cluster that has just been mended may fail at first.
        while (names := self._lasting_queues(node)) != []:
            if time.monotonic() > deadline:
                told = "no answer" if names is None else ", ".join(names)
                raise SetupError(f"RabbitMQ does not delete its queues: {told}")
            for name in names or []:
                node.management("DELETE", f"/api/queues/%2F/{quote(name, safe='')}", self.admin)

    def _lasting_queues(self, node: Node) -> list[str] | None:
        """The names of the queues that are not exclusive; None if the node does not answer."""
        queues = node.management("GET", "/api/queues", self.admin)
        if queues is None:
            return None
        return [queue["name"] for queue in queues if not queue["exclusive"]]

    def start_node(self, number: int) -> None:
        """Start one node and wait until it serves and sees every other running node."""
        self._prepare()
        self._spawn([self.node(number)])
        self._wait_ready([self.node(number)])

    def stop_node(self, number: int) -> None:
        """Stop one node in an orderly way."""
        self.node(number).daemon.stop(STOP_TIMEOUT)

    def kill_node(self, number: int) -> None:
        """Kill one node (SIGKILL); returns when the process is gone."""
        self.node(number).daemon.kill()

    def pause_node(self, number: int) -> None:
        """Let one node hang (SIGSTOP): its sockets stay open."""
        self.node(number).daemon.pause()

    def resume_node(self, number: int) -> None:
        """Let a paused node go on (SIGCONT). It rejoins by itself; `wait_ready` waits for it."""
        self.node(number).daemon.resume()

    def wait_ready(self) -> None:
        """Wait until every node runs, serves, and sees all the others."""
        self._wait_ready(self.nodes)

    def ready(self) -> bool:
        """Whether every node serves and sees all the others, now."""
        return all(self._serves(node) for node in self.nodes)

    def _discard_nodes(self) -> None:
        for node in self.nodes:
            node.daemon.kill()
            shutil.rmtree(node.folder, ignore_errors=True)

    def _spawn(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            if node.daemon.alive():
                node.daemon.resume()
                continue
            self._progress(f"starting RabbitMQ {node.name}")
            node.spawn(self._settings(), peers=[self.nodes[0].name, node.name])

    def _wait_ready(self, nodes: Iterable[Node], *, within: float = START_TIMEOUT) -> None:
        deadline = time.monotonic() + within
        waiting = [node for node in nodes if not self._serves(node)]
        tried_again: set[str] = set()
        while waiting:
            time.sleep(0.2)
            for node in list(waiting):
                if not node.daemon.alive():
                    if node.name in tried_again:
                        raise SetupError(f"RabbitMQ {node.name} did not start:\n{node.log_tail()}")
                    # Nodes that start at the same moment can trip over each other's tables.
                    tried_again.add(node.name)
                    self._spawn([node])
                if self._serves(node):
                    self._progress(f"RabbitMQ {node.name} is ready")
                    waiting.remove(node)
            if waiting and time.monotonic() > deadline:
                node = waiting[0]
                raise SetupError(
                    f"RabbitMQ {node.name} was not ready after {within:.0f} s:\n{node.log_tail()}"
                )

    def _serves(self, node: Node) -> bool:
        """Whether `node` serves and sees every other node that is meant to run."""
        if ports.is_free(node.web_stomp_port):
            return False
        expected = {
            other.name for other in self.nodes if other.daemon.alive() and not other.daemon.paused()
        }
        members = node.members(self.admin)
        return expected <= {name for name, running in members.items() if running}

    def _settings(self) -> dict[str, str]:
        settings = {
            **_SMALL,
            **{
                f"auth_http.{kind}_path": f"{self.auth_url}/{kind}"
                for kind in ("user", "vhost", "resource", "topic")
            },
            "load_definitions": str(self.root / "definitions.json"),
        }
        if self.size == 2:
            # Of two nodes one is no majority: with pause_minority each would fall with the other.
            settings["cluster_partition_handling"] = "autoheal"
        return settings

    def _prepare(self) -> None:
        cookie = self.root / "home" / ".erlang.cookie"
        if not cookie.exists():
            cookie.parent.mkdir(mode=0o700, exist_ok=True)
            cookie.touch(mode=0o600)
            cookie.write_text(secrets.token_hex(16))
            cookie.chmod(0o400)
        definitions = self.root / "definitions.json"
        if not definitions.exists():
            definitions.touch(mode=0o600)
            definitions.write_text(json.dumps(broker_users.definitions(self._users)))
        if not self._epmd.alive():
            self._epmd.spawn(
                ["epmd", "-port", str(self._base), "-address", "127.0.0.1"],
                env=self.nodes[0].environment(),
            )

    def _remembered_base(self, preferred: int | None) -> int:
        remembered = self.root / "port-base"
        if remembered.exists():
            base = int(remembered.read_text())
            if Daemon(f"{self.root}:epmd", self.root / "epmd.log").alive():
                return base
            preferred = base
        base = ports.free_block(preferred)
        remembered.write_text(str(base))
        return base
