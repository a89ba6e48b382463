"""A gateway as people run it: a process of its own with a configuration file."""

import io
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import jwt
import psutil

from devenv.cluster import Cluster
from devenv.setting_up import apply_topology
from gateway.cli import arguments as cli
from tests.acceptance.broker_view import wait_for

PREFIX = "acdm.mo.interact"
ISSUER = "https://school.example"
AUDIENCE = "interact"
JWT_SECRET = secrets.token_urlsafe(32)
AUTH_SECRET = secrets.token_urlsafe(32)
DRAIN_TOKEN = secrets.token_urlsafe(32)
_GATEWAY = (sys.executable, "-m", "gateway")
_START_TIMEOUT = 120.0
_STOP_TIMEOUT = 60.0


class NotRunning(Exception):
    """The gateway has no process now."""


class GatewayProcess:
    """A gateway in a process of its own.

    `number` 0 is the one that the cluster asks who may; each has two of the cluster's ports.

    `path`: of its pages and calls. `notice_time`: seconds between its SIGTERM and its drain.

    `presence`: whether who comes and goes is told, between the messages that a test waits for.
    `nodes`: the numbers of those that it knows; `through` gives the port at which it finds a
    node's. `program`: what is run in place of `python -m gateway`.

    `extra` and `tail` are TOML for the configuration's head and end; `auth`, `jwt`, `broker`,
    `node` (each of them) and `server` (without it: no drain time) are further lines of those
    tables.
    """

    def __init__(
        self,
        folder: Path,
        cluster: Cluster,
        *,
        number: int = 0,
        store: str | None = None,
        extra: str = "",
        presence: bool = False,
        nodes: tuple[int, ...] = (),
        through: Callable[[int], int] = int,
        path: str = "",
        program: Sequence[str] = _GATEWAY,
        notice_time: float = 0.0,
        **tables: str,
    ) -> None:
        extra = f"presence = {str(presence).lower()}\n{extra}"
        self.cluster = cluster
        self.port = cluster.gateway_port(2 * number + 1)
        self.internal_port = cluster.gateway_port(2 * number)
        #: Where a test may put something between a browser and the gateway: pages from there count
        #: as its own.
        self.cable_port = cluster.gateway_port(8)
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = self.origin + path
        self.ws_url = f"ws://127.0.0.1:{self.port}{path}/ws"
        self.internal_url = f"http://127.0.0.1:{self.internal_port}"
        self.log = folder / f"gateway-{number}.log"
        self.config = folder / f"gateway-{number}.toml"
        self._store = store or f"sqlite:///{folder}/interact.db"
        self._extra = extra
        self._notice_time = notice_time
        self._tables = tables
        self._auth_secret: tuple[str, ...] = (AUTH_SECRET,)
        self._numbers = nodes or tuple(node.number for node in cluster.nodes)
        self._through = through
        self._program = tuple(program)
        self._configure()
        self.config.chmod(0o600)
        self._process: subprocess.Popen[bytes] | None = None
        self._secrets = {
            JWT_SECRET,
            AUTH_SECRET,
            DRAIN_TOKEN,
            cluster.gateway.password,
            cluster.admin.password,
        }

    @property
    def pid(self) -> int:
        if self._process is None:
            raise NotRunning
        return self._process.pid

    def start(self) -> None:
        """Returns when it serves; ready or not."""
        self._set_up_the_broker()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [*self._program, "--config", str(self.config), "serve"],
                stdout=log,
                stderr=log,
                env={k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")},
            )
        self._await_answer("/healthz")

    def use_nodes(self, *numbers: int) -> None:
        """Only these nodes from now on; before the start, or as SIGHUP has it afterwards."""
        self._numbers = numbers
        self._configure_anew()

    def use_secret(self, *versions: str) -> None:
        """These versions of the gateways' secret from now on; returns when they are in force."""
        before = self._reloads
        self._auth_secret = versions
        self._secrets.update(versions)
        self._configure_anew()
        wait_for(lambda: self._reloads > before)

    @property
    def _reloads(self) -> int:
        return self.log.read_text(errors="replace").count("reloaded: ")

    def use_tail(self, tail: str) -> None:
        """Another end of the configuration from now on, as :meth:`use_nodes` has it."""
        self._tables["tail"] = tail
        self._configure_anew()

    def use_broker(self, lines: str) -> None:
        """Other further lines of the table `broker`, as :meth:`use_nodes` has it."""
        self._tables["broker"] = lines
        self._configure_anew()

    def use_cluster(self, cluster: Cluster) -> None:
        """The nodes of another cluster from now on, as SIGHUP has it; its accounts must be the
        same."""
        self.cluster = cluster
        self.use_nodes(*(node.number for node in cluster.nodes))

    def await_ready(self) -> None:
        self._await_answer("/readyz")

    def stop(self) -> None:
        """SIGTERM, and its clean end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self.await_end()

    def await_end(self) -> None:
        """The clean end that it was asked for."""
        assert self._process is not None
        assert self._process.wait(_STOP_TIMEOUT) == 0, self.log_tail()
        self._process = None

    def kill(self) -> None:
        """SIGKILL: the end at any instruction."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def token(self, user: str, *roles: str, lifetime: float = 3600.0, **claims: Any) -> str:
        """A JWT as the school's login would issue it."""
        now = time.time()
        standard = {"sub": user, "roles": roles, "iss": ISSUER, "aud": AUDIENCE, "iat": now}
        token = jwt.encode(
            {**standard, "exp": now + lifetime, **claims}, JWT_SECRET, algorithm="HS256"
        )
        self._secrets.add(token)
        return token

    def never_shows(self, secret: str) -> None:
        """The log, and whatever the commands say, must not hold this."""
        self._secrets.add(secret)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        user: str | None = None,
        roles: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Status and JSON (or text) of an HTTP call, by a user with a fresh token."""
        sent = dict(headers or {})
        if user is not None:
            sent["Authorization"] = f"Bearer {self.token(user, *roles)}"
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        with self._request(method, path, body, sent) as response:
            text = response.read().decode()
            media_type = response.headers.get_content_type()
            return response.status, json.loads(text) if media_type.endswith("json") else text

    def room(self, host: str, *participants: str) -> int:
        """A new room's number."""
        members = [{"user": user, "role": "participant"} for user in participants]
        status, room = self.call(
            "POST",
            "/api/rooms",
            {"title": "a room", "members": members},
            user=host,
            roles=("host",),
        )
        # 202: RabbitMQ makes the queue a little later, as after a test that stopped its nodes.
        assert status in {201, 202}, room
        return int(room["id"])

    def post(self, room: int, user: str, body: object, **fields: object) -> tuple[int, Any]:
        """Status and receipt of a message."""
        return self.call("POST", f"/api/rooms/{room}/messages", {"body": body, **fields}, user=user)

    def history(self, room: int, user: str, **query: object) -> dict[str, Any]:
        """The sync's answer."""
        words = "&".join(f"{name}={value}" for name, value in query.items())
        status, page = self.call("GET", f"/api/rooms/{room}/messages?{words}", user=user)
        assert status == 200, page
        return dict(page)

    def command(self, *arguments: str, stdin: str = "") -> tuple[int, str]:
        """Exit code and all output of a command on this gateway's configuration.

        In this process: starting one takes seconds on a busy machine.
        """
        root, output = logging.getLogger(), io.StringIO()
        before = list(root.handlers), root.level
        with (
            redirect_stdout(output),
            redirect_stderr(output),
            patch.object(sys, "stdin", io.StringIO(stdin)),
        ):
            try:
                code = cli.main(["--config", str(self.config), *arguments])
            finally:
                root.handlers[:], level = before
                root.setLevel(level)
                logging.captureWarnings(capture=False)
        told = output.getvalue()
        assert "Traceback" not in told
        assert not {secret for secret in self._secrets if secret in told}
        return code, told

    def topology(self, command: str, *options: str, **login: str) -> tuple[int, str]:
        """`gateway topology COMMAND` with the administrator's login, or with `user`, `password` and
        `management` instead."""
        admin = self.cluster.admin
        urls = login.get("management", " ".join(n.management_url for n in self.cluster.nodes))
        return self.command(
            *("topology", command, *options, "--admin", login.get("user", admin.name)),
            "--password-stdin",
            *(part for url in urls.split() for part in ("--management", url)),
            stdin=login.get("password", admin.password) + "\n",
        )

    def memory(self) -> int:
        """Bytes of resident memory."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def database_bytes(self) -> dict[str, int]:
        """The sizes of SQLite's files, by the end of their names (`db`, `db-wal` …); empty with
        PostgreSQL."""
        name = self._store.removeprefix("sqlite:///")
        if name == self._store:
            return {}
        file = Path(name)
        return {each.suffix[1:]: each.stat().st_size for each in file.parent.glob(f"{file.name}*")}

    def avoids(self, node: str) -> bool:
        """Whether it gives the broker node of this name, `r1` …, no connection now."""
        return f'gateway_node_available{{node="{node}"}} 0.0' in self.metrics().splitlines()

    def metrics(self) -> str:
        """The metrics as Prometheus reads them from the internal listener."""
        connection = HTTPConnection("127.0.0.1", self.internal_port, timeout=10)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def await_logged(self, text: str) -> None:
        """Wait until the log contains ``text``. A thread of the gateway writes it, a little later
        than what it tells, and a busy disk may hold it up."""
        wait_for(lambda: text in self.log.read_text(errors="replace"))

    def relay_logins(self) -> int:
        """How often RabbitMQ has asked about a relay's user: some times for every dial, before the
        client hears of it, and for what the relay is the first to want."""
        name = 'gateway_http_requests_total{method="POST",route="brokerauth",status="200"} '
        lines = self.metrics().splitlines()
        return sum(int(float(line.removeprefix(name))) for line in lines if line.startswith(name))

    def assert_log_is_clean(self) -> None:
        """Assert that the log has no crash and no secret in it."""
        text = self.log.read_text(errors="replace")
        assert "Traceback" not in text, text[max(0, text.index("Traceback") - 500) :][:4000]
        for secret in self._secrets:
            assert secret not in text, "a secret stands in the log"

    def log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def _set_up_the_broker(self) -> None:
        """What an operator does once: set the policies. A cluster made anew forgets that."""
        done = self.cluster.node(1).folder / "set-up"
        if done.exists() or not self.cluster.ready():
            return
        apply_topology(self.cluster, [*_GATEWAY, "--config", str(self.config)])
        done.touch()

    @contextmanager
    def _request(
        self, method: str, path: str, body: object, headers: Mapping[str, str]
    ) -> Iterator[HTTPResponse]:
        split = urlsplit(self.url)
        connection = HTTPConnection(split.hostname or "", split.port, timeout=30)
        try:
            raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, split.path + path, raw, dict(headers))
            yield connection.getresponse()
        finally:
            connection.close()

    def _await_answer(self, path: str) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            assert self._process is not None
            assert self._process.poll() is None, f"the gateway ended:\n{self.log_tail()}"
            try:
                if self.call("GET", path)[0] == 200:
                    return
            except OSError:
                pass
            assert time.monotonic() < deadline, f"no 200 from {path}:\n{self.log_tail()}"
            time.sleep(0.05)

    def _configure_anew(self) -> None:
        self._configure()
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def _configure(self) -> None:
        self.config.write_text(self._toml())

    def _toml(self) -> str:
        account, tables = self.cluster.gateway, self._tables
        nodes = "\n".join(
            f"[[broker.nodes]]\n"
            f'name = "r{node.number}"\n'
            f'web_stomp = "ws://127.0.0.1:{self._through(node.web_stomp_port)}/ws"\n'
            f'amqp = "amqp://127.0.0.1:{self._through(node.amqp_port)}"\n'
            f"{tables.get('node', '')}\n"
            for node in map(self.cluster.node, self._numbers)
        )
        return f"""
{self._extra}

[server]
address = "127.0.0.1"
port = {self.port}
internal_port = {self.internal_port}
drain_token = "{DRAIN_TOKEN}"
path = "{urlsplit(self.url).path}"
origins = ["{self.origin}", "http://127.0.0.1:{self.cable_port}"]
stop_timeout = 8.0
notice_time = {self._notice_time}
{tables.get("server", "drain_time = 0.0")}

[auth]
secret = {json.dumps(self._auth_secret)}
{tables.get("auth", "")}

[auth.jwt]
algorithms = ["HS256"]
secret = "{JWT_SECRET}"
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
{tables.get("jwt", "")}

[store]
url = "{self._store}"
migrate = true

[broker]
user = "{account.name}"
password = "{account.password}"
{tables.get("broker", "")}

{nodes}

{tables.get("tail", "")}
"""
