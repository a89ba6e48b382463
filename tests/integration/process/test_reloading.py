"""SIGHUP: a gateway takes over a new configuration, and no connection notices; without a broker."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from shutil import copy, rmtree
from ssl import SSLCertVerificationError, create_default_context
from urllib.parse import urlsplit

import jwt
import pytest

from devenv import tls
from tests.acceptance.stomp_client import StompClient
from tests.integration.process.conftest import JWT_SECRET, SECRET
from tests.integration.process.test_ended_logins import call
from tests.integration.process.test_serving import get, serving

NEW_SECRET = "the issuer's next secret, long enough for HS256"
ORIGIN = "https://school.example"


@dataclass
class Gateway:
    """A gateway process whose configuration is changed."""

    process: subprocess.Popen[str]
    public: str
    internal: str
    file: Path

    def reload(self, text: str | None = None) -> str:
        """Give it another configuration; returns its log lines about that."""
        if text is not None:
            self.file.write_text(text)
        self.process.send_signal(signal.SIGHUP)
        assert self.process.stderr is not None
        said = ""
        for line in self.process.stderr:
            said += line
            if "reloaded: " in line or "is refused" in line:
                return said
        raise AssertionError(f"the gateway ended:\n{said}")

    def status(self, method: str, path: str, **headers: str) -> int:
        parts = urlsplit(self.public)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        try:
            connection.request(method, path, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def problems(self) -> set[str]:
        """The problems that the internal listener names once both nodes have been probed."""
        while True:
            told = set(json.loads(get(self.internal, "/readyz")[1])["problems"])
            if len([name for name in told if name.startswith("broker node")]) == 2:
                return told

    def client(self, authority: Path | None = None) -> StompClient:
        client = StompClient(f"ws{self.public.removeprefix('http')}/ws", authority=authority)
        assert client.connect(token(JWT_SECRET)).command == "CONNECTED"
        return client


def token(secret: str) -> str:
    now = time.time()
    claims = {"sub": "ann", "iss": "school", "aud": "interact", "iat": now, "exp": now + 600}
    return jwt.encode(claims, secret, algorithm="HS256")


def with_jwt(secret: str) -> str:
    return (
        f'[auth.jwt]\nalgorithms = ["HS256"]\nsecret = "{secret}"\n'
        'issuer = "school"\naudience = "interact"\n'
    )


@pytest.fixture
def file(environment: dict[str, str], tmp_path: Path) -> Path:
    """The configuration, as far as the environment leaves something to it."""
    for name in list(environment):
        if name.startswith("GATEWAY_AUTH__JWT"):
            del environment[name]
    file = tmp_path / "gateway.toml"
    environment["GATEWAY_CONFIG"] = str(file)
    environment["GATEWAY_BROKER__USER"] = "gateway"
    return file


@contextmanager
def gateway(environment: dict[str, str], file: Path, text: str) -> Iterator[Gateway]:
    file.write_text(text)
    with serving(environment) as (process, public, internal):
        yield Gateway(process, public, internal, file)


def still_there(client: StompClient) -> None:
    """Answer every request."""
    client.request("SEND", {"destination": "/gateway/token"}, token(NEW_SECRET).encode())


def test_keys_and_origins_change_under_a_connection_that_stays(
    environment: dict[str, str], file: Path
) -> None:
    with (
        gateway(environment, file, with_jwt(JWT_SECRET)) as running,
        running.client() as client,
    ):
        old, new = (f"Bearer {token(secret)}" for secret in (JWT_SECRET, NEW_SECRET))
        assert running.status("GET", "/api/rooms", Authorization=old) == 200
        assert running.status("GET", "/api/rooms", Authorization=new) == 401
        assert running.status("OPTIONS", "/api/rooms", Origin=ORIGIN) == 403
        said = running.reload(f'[server]\norigins = ["{ORIGIN}"]\n{with_jwt(NEW_SECRET)}')
        assert "reloaded: auth.jwt, server.origins" in said
        assert running.status("GET", "/api/rooms", Authorization=old) == 401
        assert running.status("GET", "/api/rooms", Authorization=new) == 200
        assert running.status("OPTIONS", "/api/rooms", Origin=ORIGIN) == 204
        still_there(client)


def test_limits_and_the_log_change(environment: dict[str, str], file: Path) -> None:
    with (
        gateway(environment, file, with_jwt(JWT_SECRET)) as running,
        running.client() as client,
    ):
        said = running.reload(
            '[limits]\nconnections = 1\nstall_timeout = 5.0\n[log]\nformat = "json"\n'
            + with_jwt(NEW_SECRET)
        )
        assert '"message": "reloaded: auth.jwt, limits.connections, log.format"' in said
        assert running.status("GET", "/ws", **handshake()) == 503
        still_there(client)
        assert "limits.stall_timeout" in running.reload()


def with_secrets(*versions: str) -> str:
    return f"[auth]\nsecret = {json.dumps(versions)}\n" + with_jwt(JWT_SECRET)


def test_the_gateways_secret_is_rotated_under_sessions_that_go_on(
    environment: dict[str, str], file: Path
) -> None:
    first, second = SECRET, "another secret of the gateways, long enough"
    del environment["GATEWAY_AUTH__SECRET"]
    with (
        gateway(environment, file, with_secrets(first)) as running,
        running.client() as client,
    ):

        def log_in() -> str:
            status, _, cookie = call(running.public, "POST", body={"token": token(JWT_SECRET)})
            assert status == 200
            return cookie

        def status(cookie: str) -> int:
            return call(running.public, "GET", cookie=cookie)[0]

        old = log_in()
        for versions in ((first, second), (second, first)):
            assert "reloaded: auth.secret" in running.reload(with_secrets(*versions))
            assert status(old) == 200
        new = log_in()
        assert "reloaded: auth.secret" in running.reload(with_secrets(second))
        # Even though the old cookie was verified a moment ago.
        assert (status(old), status(new)) == (401, 200)
        client.request("SEND", {"destination": "/gateway/token"}, token(JWT_SECRET).encode())
        said = running.reload(with_secrets("short"))
        assert "auth.secret: " in said
        assert "have at least 32 bytes" in said
        assert second not in said
        assert status(new) == 200


def node(name: str, port: int) -> str:
    return (
        f'[[broker.nodes]]\nname = "{name}"\nweb_stomp = "ws://127.0.0.1:{port}/ws"\n'
        f'amqp = "amqp://127.0.0.1:{port}"\n'
    )


def test_the_list_of_nodes_changes_under_a_connection_that_stays(
    environment: dict[str, str], file: Path
) -> None:
    del environment["GATEWAY_BROKER__NODES"]
    jwt = with_jwt(NEW_SECRET)
    with (
        gateway(environment, file, with_jwt(JWT_SECRET) + node("old", 9)) as running,
        running.client() as client,
    ):
        said = running.reload(jwt + node("old", 9) + node("old", 10))
        assert "is refused" in said
        assert "node names must differ; repeated: old" in said
        said = running.reload(jwt + node("new", 10) + node("newer", 11))
        assert "reloaded: auth.jwt, broker.nodes" in said
        listed = running.problems()
        assert {"broker node new", "broker node newer", "publisher on new"} <= listed
        assert not any(problem.endswith(" old") for problem in listed)
        still_there(client)


def handshake() -> dict[str, str]:
    return {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ('[log]\nlevel = "loud"\n', "log.level: "),
        ("[server]\nprot = 1\n", "server.prot: unknown key"),
        ('[[access]]\nroles = ["r"]\nsend = ["nonsense"]\n', "access.0.send: 'nonsense'"),
        ("no TOML", "not TOML"),
        (
            '[server.tls]\ncertificate = "c.pem"\nkey = "k.pem"\n',
            "server.tls: switching TLS on or off needs a restart",
        ),
    ],
)
def test_a_wrong_configuration_is_refused_by_name_and_the_old_one_stays(
    environment: dict[str, str], file: Path, wrong: str, told: str
) -> None:
    with gateway(environment, file, with_jwt(JWT_SECRET)) as running:
        said = running.reload(f"{wrong}\n{with_jwt(NEW_SECRET)}")
        assert "the new configuration is refused, and the old one stays" in said
        assert told in said
        old = f"Bearer {token(JWT_SECRET)}"
        assert running.status("GET", "/api/rooms", Authorization=old) == 200


def test_a_certificate_is_swapped_under_a_connection_that_stays(
    environment: dict[str, str], file: Path, tmp_path: Path
) -> None:
    first, second = tls.ensure(tmp_path / "first"), tls.ensure(tmp_path / "second")
    shown = tmp_path / "shown"
    shown.mkdir()

    def show(pair: tls.Pair) -> None:
        copy(pair.certificate, shown / "server.pem")
        copy(pair.key, shown / "server-key.pem")

    show(first)
    environment["GATEWAY_SERVER__TLS__CERTIFICATE"] = str(shown / "server.pem")
    environment["GATEWAY_SERVER__TLS__KEY"] = str(shown / "server-key.pem")
    by_first, by_second = (
        create_default_context(cafile=str(pair.authority)) for pair in (first, second)
    )
    with (
        gateway(environment, file, with_jwt(JWT_SECRET)) as running,
        running.client(first.authority) as client,
    ):
        show(second)
        assert "reloaded: auth.jwt" in running.reload(with_jwt(NEW_SECRET))
        assert get(running.public, "/healthz", by_second) == (200, "ok")
        with pytest.raises(SSLCertVerificationError):
            get(running.public, "/healthz", by_first)
        still_there(client)
        # Half of a pair is no pair: the certificate that worked stays.
        copy(first.key, shown / "server-key.pem")
        assert "are not a PEM certificate and its key" in running.reload()
        rmtree(shown)
        assert re.search("server.tls: .*cannot be read", running.reload())
        assert get(running.public, "/healthz", by_second) == (200, "ok")
        still_there(client)
