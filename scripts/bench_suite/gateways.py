"""The gateway under measurement, with everything on (tokens, permissions, numbering, feeds)."""

import http.client
import json
import os
import secrets
import ssl
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jwt

from bench_suite.child import Child, running
from bench_suite.system import Door, Lab
from broker.topology import Topology
from devenv import gateway_toml
from devenv.broker_users import User
from devenv.errors import SetupError

_START_TIMEOUT = 60.0
_ISSUER = "https://bench.example"
_AUDIENCE = "bench"
#: Users that the clients are, each with as many connections as it takes.
USERS = 500
#: Who may post to every room.
HOST = "host"
TOPOLOGY = Topology()
#: The settings of a gateway that is measured, beside the defaults.
MEASURED: Mapping[str, Any] = {
    # Its peers tell nobody who comes and goes.
    "presence": False,
    # Few users stand for many here; each limit is still counted.
    "limits": {
        "posts_per_second": 1e6,
        "posts_burst": 1_000_000,
        "post_bytes_per_second": 1e9,
        "room_posts_per_second": 1e6,
        "room_posts_burst": 1_000_000,
        "room_post_bytes_per_second": 1e9,
        # All clients come from one address.
        "http_connects_per_second": 1e6,
        "upgrades_per_second": 1e6,
        "upgrades_burst": 1_000_000,
        "http_connections_per_address": 100_000,
        "unknown_connections": 100_000,
        "unknown_connections_per_address": 100_000,
        # One host makes all rooms.
        "rooms_per_minute": 1e6,
        "rooms_burst": 1_000_000,
    },
    "log": {"level": "warning"},
}


def user(index: int) -> str:
    return f"user{index % USERS}"


@dataclass(frozen=True)
class Gateway:
    """A running gateway: its `door`, its HTTP API, its database, and its command line up to the
    subcommand."""

    door: Door
    port: int
    internal_port: int
    command: Sequence[str]
    log: Path
    secret: str
    #: The gateways' own, which those beside it share.
    own_secret: str
    database: Path
    context: ssl.SSLContext | None

    def token(self, name: str, *roles: str) -> str:
        """A token like one that a school's login server issues."""
        return token(self.secret, name, *roles)

    def room(self, members: Sequence[str], *, host: str = HOST) -> int:
        """A new room's number."""
        answer = self.call(
            "POST",
            "/api/rooms",
            {
                "title": "bench",
                "members": [{"user": name, "role": "participant"} for name in members],
            },
            host=host,
        )
        return int(answer["id"])

    def call(self, method: str, path: str, body: object, *, host: str = HOST) -> Any:
        """Make an API call as a host."""
        connection = self.connection()
        try:
            connection.request(method, path, json.dumps(body), self.headers(host))
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if response.status >= 300:
            raise SetupError(f"{method} {path}: {response.status} {text[:300]!r}")
        return json.loads(text) if text else None

    def connection(self) -> http.client.HTTPConnection:
        if self.context is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.context)

    def headers(self, name: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.token(name, 'host')}",
            "Content-Type": "application/json",
        }


@contextmanager
def gateway(
    lab: Lab,
    *,
    fanout: str,
    tls: bool,
    store: str = "",
    settings: Mapping[str, Any] = MEASURED,
    further: Mapping[str, Any] | None = None,
    beside: Sequence[Gateway] = (),
) -> Iterator[Gateway]:
    """Run a gateway on an empty SQLite database, or on ``store``; it is gone at the end.

    ``further``: by the name of a table, more of its keys, or a list of such tables. ``beside``: one
    more of the same cluster as these.
    """
    place = len(beside)
    port = lab.cluster.gateway_port(2 * place + 1)
    internal_port = lab.cluster.gateway_port(2 * place)
    secret = beside[0].secret if beside else secrets.token_urlsafe(32)
    own_secret = beside[0].own_secret if beside else secrets.token_urlsafe(48)
    with TemporaryDirectory(dir=lab.folder, prefix="gateway-") as name:
        folder = Path(name)
        config = folder / "gateway.toml"
        config.touch(mode=0o600)
        database = folder / "interact.db"
        tables = gateway_toml.tables(
            lab.cluster,
            port=port,
            internal_port=internal_port,
            database=database,
            secret=own_secret,
            tls=lab.pair if tls else None,
        )
        tables["auth"]["jwt"] = {
            "algorithms": ["HS256"],
            "secret": secret,
            "issuer": _ISSUER,
            "audience": _AUDIENCE,
        }
        for name_of_table, more in (further or {}).items():
            if isinstance(more, Mapping):
                tables.setdefault(name_of_table, {}).update(more)
            else:
                tables[name_of_table] = more
        if store:
            tables["store"] |= {"url": store, "migrate": True}
        config.write_text(gateway_toml.render({"fanout": fanout, **settings, **tables}))
        command = [sys.executable, "-m", "gateway", "--config", str(config)]
        log = lab.folder / f"gateway-{fanout}{place or ''}.log"
        with running([*command, "serve"], log=log, env=_environment()) as child:
            _wait_until_ready(internal_port, child)
            door = Door(
                name=fanout,
                addresses=[("127.0.0.1", port)],
                pids=child.pids,
                who=lambda index: User(user(index), token(secret, user(index))),
                authority=lab.pair.authority if tls else None,
            )
            context = ssl.create_default_context(cafile=str(lab.pair.authority)) if tls else None
            yield Gateway(
                door, port, internal_port, command, log, secret, own_secret, database, context
            )


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("GATEWAY_")}


def token(secret: str, name: str, *roles: str, **more: str) -> str:
    """A token like one that a school's login server issues, with ``more`` claims."""
    now = int(time.time())
    claims = {"sub": name, "roles": roles, "iss": _ISSUER, "aud": _AUDIENCE, **more}
    return jwt.encode({**claims, "iat": now, "exp": now + 86_400}, secret, algorithm="HS256")


def _wait_until_ready(port: int, child: Child) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while not _is_ready(port):
        if not child.alive or time.monotonic() > deadline:
            raise SetupError(f"the gateway did not start:\n{child.log_tail()}")
        time.sleep(0.1)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
