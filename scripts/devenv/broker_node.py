"""One RabbitMQ server of a private cluster: its addresses, its files, its process."""

import base64
import http.client
import json
import os
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from devenv import broker_conf, rabbitmq
from devenv.broker_users import User
from devenv.daemon import Daemon

TEMPLATES = Path(__file__).parents[2] / "conf" / "rabbitmq"


@dataclass(frozen=True)
class Node:
    """Server `r<number>@localhost`; `port` is the first of ten ports that belong to it, `version`
    its version of RabbitMQ if that is not the chosen one."""

    number: int
    root: Path
    port: int
    epmd_port: int
    version: str | None = None

    @property
    def name(self) -> str:
        return f"r{self.number}@localhost"

    @property
    def folder(self) -> Path:
        return self.root / f"r{self.number}"

    @property
    def amqp_port(self) -> int:
        return self.port

    @property
    def dist_port(self) -> int:
        return self.port + 1

    @property
    def stomp_port(self) -> int:
        return self.port + 2

    @property
    def web_stomp_port(self) -> int:
        return self.port + 3

    @property
    def management_port(self) -> int:
        return self.port + 4

    @property
    def prometheus_port(self) -> int:
        return self.port + 5

    @property
    def amqp_url(self) -> str:
        """The AMQP address of this node, without credentials."""
        return f"amqp://127.0.0.1:{self.amqp_port}"

    @property
    def web_stomp_url(self) -> str:
        return f"ws://127.0.0.1:{self.web_stomp_port}/ws"

    @property
    def management_url(self) -> str:
        return f"http://127.0.0.1:{self.management_port}"

    @property
    def log(self) -> Path:
        return self.folder / "log" / f"{self.name}.log"

    @cached_property
    def daemon(self) -> Daemon:
        return Daemon(f"{self.root}:{self.name}", self.folder / "log" / "console.log")

    def spawn(self, settings: dict[str, str], *, peers: list[str]) -> None:
        """Write its configuration and start it; returns before it is ready."""
        self._configure(settings, peers=peers)
        self.daemon.spawn([rabbitmq.sbin(self.version) / "rabbitmq-server"], env=self.environment())

    def environment(self) -> dict[str, str]:
        """The environment in which RabbitMQ's scripts and tools reach this node and no other."""
        folder = self.folder
        return {
            # Not what somebody set for another Erlang or RabbitMQ.
            **{
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("RABBITMQ_", "ERL_"))
            },
            "HOME": str(self.root / "home"),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_PORT": str(self.amqp_port),
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "db"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            # Empty, or /etc/rabbitmq/rabbitmq-env.conf would be read.
            "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
            # Makes the script exec the Erlang VM, so that no shell stands between us and it.
            "RUNNING_UNDER_SYSTEMD": "true",
            # Bound schedulers would all share the first core.
            "RABBITMQ_SCHEDULER_BIND_TYPE": "u",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+S 2:2 -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }

    def members(self, user: User) -> dict[str, bool]:
        """The cluster as this node sees it: name -> running. Empty while it is not serving."""
        nodes = self.management("GET", "/api/nodes", user)
        return {node["name"]: node["running"] for node in nodes or []}

    def management(self, method: str, path: str, user: User, body: object = None) -> Any:
        """The answer of its management API; None without an answer or for any status but 2xx.

        https://www.rabbitmq.com/docs/management#http-api
        """
        token = base64.b64encode(f"{user.name}:{user.password}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.management_port, timeout=3)
        try:
            connection.request(
                method,
                path,
                body=None if body is None else json.dumps(body),
                headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
            )
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        if not 200 <= response.status < 300:
            return None
        return json.loads(text) if text else {}

    def control(self, *arguments: str) -> str:
        """The output of ``rabbitmqctl`` for this node. Raises ``subprocess.CalledProcessError``."""
        result = subprocess.run(
            [rabbitmq.sbin(self.version) / "rabbitmqctl", "-n", self.name, *arguments],
            env=self.environment(),
            check=True,
            capture_output=True,
            text=True,
        )
        return result.stdout.strip()

    def log_tail(self) -> str:
        """The last lines of its log, or of its console output if there is no log yet."""
        if self.log.exists():
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])
        return self.daemon.log_tail()

    def _configure(self, settings: dict[str, str], *, peers: list[str]) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        production = broker_conf.parse((TEMPLATES / "rabbitmq.conf").read_text())
        own = {
            "listeners.tcp.1": f"127.0.0.1:{self.amqp_port}",
            "stomp.listeners.tcp.1": f"127.0.0.1:{self.stomp_port}",
            "web_stomp.tcp.listener": f"127.0.0.1:{self.web_stomp_port}",
            "management.tcp.port": str(self.management_port),
            "prometheus.tcp.port": str(self.prometheus_port),
        }
        merged = broker_conf.private(production, own | settings, peers=peers)
        (self.folder / "rabbitmq.conf").write_text(broker_conf.render(merged))
        for name in ("advanced.config", "enabled_plugins"):
            (self.folder / name).write_text((TEMPLATES / name).read_text())
        (self.folder / "env.conf").touch()
