"""A gateway process with issuers of tokens over HTTPS, one of which hangs; without a broker."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from devenv import tls
from tests.acceptance.stomp_client import Closed, StompClient
from tests.integration.process.conftest import Run
from tests.integration.process.test_reloading import Gateway, gateway

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP384R1())
#: Seconds that a fetch of keys may take; a token that waited for one would take as long.
FETCH = 5.0


@dataclass
class Issuer:
    """An issuer of tokens: a server over HTTPS, and what it signs with."""

    algorithm: str
    kids: list[str]
    url: str = ""
    asked: list[str] = field(default_factory=list)
    reached: threading.Event = field(default_factory=threading.Event)
    answering: threading.Event = field(default_factory=threading.Event)

    @property
    def _key(self) -> Any:
        return RSA if self.algorithm == "PS256" else EC

    def answer(self, path: str) -> object:
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        kind = RSAAlgorithm if self.algorithm == "PS256" else ECAlgorithm
        key = json.loads(kind.to_jwk(self._key.public_key()))
        key.pop("key_ops", None)
        return {"keys": [{**key, "kid": kid, "use": "sig"} for kid in self.kids]}

    def token(self, user: str, *, kid: str | None = None, **claims: Any) -> str:
        now = int(time.time())
        # Its clock is ahead.
        content = {"iss": self.url, "sub": user, "iat": now + 3600, "exp": now + 600, **claims}
        headers = {"kid": kid or self.kids[0]}
        return jwt.encode(content, self._key, algorithm=self.algorithm, headers=headers)


@contextmanager
def published(issuer: Issuer, pair: tls.Pair) -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            issuer.reached.set()
            issuer.answering.wait(60)
            body = json.dumps(issuer.answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """The gateway has given up a fetch that hung."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    issuer.url = f"https://localhost:{server.server_address[1]}"
    issuer.answering.set()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.answering.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def pair(tmp_path: Path) -> tls.Pair:
    return tls.ensure(tmp_path / "tls")


@dataclass
class Scene:
    """Two issuers, and what a gateway's configuration says of them."""

    steady: Issuer
    other: Issuer
    authority: Path

    def table(self, issuer: Issuer, *lines: str) -> str:
        return "\n".join(
            [
                "[[auth.issuers]]",
                f'issuer = "{issuer.url}"',
                f'algorithms = ["{issuer.algorithm}"]',
                f'ca_file = "{self.authority}"',
                *lines,
                "",
            ]
        )

    @property
    def steady_table(self) -> str:
        return self.table(
            self.steady,
            "discovery = true",
            'required = { client_id = "interact" }',
            'roles_claim = "realm_access.roles"',
            'roles = { teacher = "host" }',
        )

    @property
    def other_table(self) -> str:
        return self.table(
            self.other,
            f'jwks_url = "{self.other.url}/keys"',
            'audience = ["interact", "interact-test"]',
            'user_prefix = "other:"',
            # After a second its keys are fetched again, as soon as a token comes.
            "jwks_lifetime = 1.0",
            "jwks_cooldown = 1.0",
        )

    def steady_token(self, user: str, **claims: Any) -> str:
        return self.steady.token(user, client_id="interact", **claims)

    def other_token(self, user: str, **claims: Any) -> str:
        return self.other.token(user, aud=["x", "interact-test"], **claims)


@pytest.fixture
def scene(pair: tls.Pair) -> Iterator[Scene]:
    with ExitStack() as stack:
        steady, other = (
            stack.enter_context(published(issuer, pair))
            for issuer in (Issuer("PS256", ["s1"]), Issuer("ES384", ["o1"]))
        )
        yield Scene(steady, other, pair.authority)


@pytest.fixture
def file(environment: dict[str, str], tmp_path: Path) -> Path:
    for name in list(environment):
        if name.startswith("GATEWAY_AUTH__JWT"):
            del environment[name]
    file = tmp_path / "gateway.toml"
    environment["GATEWAY_CONFIG"] = str(file)
    environment["GATEWAY_BROKER__USER"] = "gateway"
    return file


def call(
    running: Gateway, token: str, *, method: str = "GET", body: object = None
) -> tuple[int, dict[str, Any], HTTPMessage]:
    """The answer of ``/api/session``; a body trades the token, otherwise it is in the header."""
    parts = urlsplit(running.public)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    headers = {"Content-Type": "application/json"}
    if body is None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, "/api/session", json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers
    finally:
        connection.close()


def seconds_of(running: Gateway, token: str) -> float:
    began = time.monotonic()
    status, answer, _ = call(running, token)
    assert status == 200, answer
    return time.monotonic() - began


def test_an_issuer_that_hangs_holds_up_only_what_nobody_can_decide(
    environment: dict[str, str], file: Path, scene: Scene
) -> None:
    text = scene.steady_table + scene.other_table
    with gateway(environment, file, text) as running:
        teacher = scene.steady_token("42", realm_access={"roles": ["teacher"]})
        status, me, _ = call(running, teacher)
        assert (status, me["user"], me["roles"]) == (200, "42", ["host"])
        # The same subject of another issuer is another person.
        status, me, _ = call(running, scene.other_token("42"))
        assert (status, me["user"], me["roles"]) == (200, "other:42", [])
        assert call(running, scene.steady_token("other:42"))[0] == 401
        scene.other.answering.clear()
        scene.other.reached.clear()
        waiting: list[tuple[int, dict[str, Any], HTTPMessage]] = []

        def ask() -> None:
            # Within the cool-down of the first fetch there is an answer without another one.
            while not scene.other.reached.is_set():
                waiting[:] = [call(running, scene.other_token("7", kid="o2"))]

        asking = threading.Thread(target=ask)
        asking.start()
        assert scene.other.reached.wait(20), "nobody asks the issuer"
        # Now the fetch hangs, for five seconds.
        tokens = (scene.other_token, scene.steady_token)
        took = [seconds_of(running, token("0")) for token in tokens]
        assert asking.is_alive()
        # However slow this machine is: one that waits for the fetch takes most of its time.
        took += [
            seconds_of(running, token(str(number))) for number in range(1, 20) for token in tokens
        ]
        assert max(took) < FETCH / 3
        asking.join()
        ((status, problem, headers),) = waiting
        assert (status, problem["code"]) == (503, "unavailable")
        assert 0 <= int(headers["Retry-After"]) <= 1
        # At /ws the same, in its own words.
        with StompClient(f"ws{running.public.removeprefix('http')}/ws") as client:
            error = client.connect(scene.other_token("7", kid="o2"))
            assert (error.command, error.headers["message"]) == ("ERROR", "unavailable")
            assert 0 < int(error.headers["retry-after"]) < 30_000
            with pytest.raises(Closed) as closed:
                client.receive()
            assert closed.value.code == 1013
        # It is back, with a new key.
        scene.other.kids = ["o2"]
        scene.other.answering.set()
        deadline = time.monotonic() + 20
        while (answer := call(running, scene.other_token("7", kid="o2")))[0] != 200:
            assert answer[0] == 503
            assert time.monotonic() < deadline, answer
        assert call(running, scene.other_token("7", kid="o1"))[0] in (401, 503)


def test_sighup_changes_issuers_and_keeps_the_keys_that_are_known(
    environment: dict[str, str], file: Path, scene: Scene
) -> None:
    with gateway(environment, file, scene.steady_table) as running:
        pupil = scene.steady_token("pupil", realm_access={"roles": ["pupil"]})
        for _ in range(3):
            assert call(running, pupil)[0] == 200
            assert (
                call(running, scene.steady_token("x", realm_access={"roles": ["pupil"]}))[0] == 200
            )
        assert call(running, scene.other_token("42"))[0] == 401
        assert scene.steady.asked == ["/.well-known/openid-configuration", "/keys"]
        with StompClient(f"ws{running.public.removeprefix('http')}/ws") as client:
            assert client.connect(pupil).command == "CONNECTED"
            scene.steady.answering.clear()
            said = running.reload(scene.steady_table + scene.other_table)
            assert "reloaded: auth.issuers" in said
            # The pupils' roles mean nothing here, which is told once.
            assert said.count('has the roles "pupil", none of which is used here') == 1
            assert "auth.issuers.0" in said
            # Though its issuer would not answer.
            assert call(running, scene.steady_token("42"))[0] == 200
            assert call(running, scene.other_token("42"))[1]["user"] == "other:42"
            unprefixed = scene.other_table.replace('user_prefix = "other:"', "")
            said = running.reload(scene.steady_table + unprefixed)
            assert "could each speak for the users of the others" in said
            assert call(running, scene.other_token("42"))[1]["user"] == "other:42"
            said = running.reload(scene.other_table)
            assert "reloaded: auth.issuers" in said
            assert call(running, scene.steady_token("42"))[0] == 401
            # The same name of another issuer renews no connection.
            renewal = scene.other_token("pupil").encode()
            client.send("SEND", {"destination": "/gateway/token", "receipt": "r"}, renewal)
            assert "another user's" in client.receive().body.decode()


def longest(make: Any, size: int) -> str:
    """A token of the size, or up to three bytes less, as base64 has it."""
    filler = size
    while len(token := make("42", filler="x" * filler)) > size:
        filler -= max(1, (len(token) - size) * 3 // 4)
    return str(token)


def test_a_long_token_passes_wherever_a_token_may_be(
    environment: dict[str, str], file: Path, scene: Scene
) -> None:
    most = 'max_bytes = 32768\nroles_claim = "scope"\n'
    with gateway(environment, file, scene.steady_table) as running:
        token = longest(scene.steady_token, 16 * 1024)
        assert len(token) > 16 * 1024 - 4
        assert call(running, token)[0] == 200
        assert call(running, "", method="POST", body={"token": token})[0] == 200
        ws = f"ws{running.public.removeprefix('http')}/ws"
        with StompClient(ws, headers={"Authorization": f"Bearer {token}"}) as client:
            assert client.connect().command == "CONNECTED"
        with StompClient(ws) as client:
            assert client.connect(token).command == "CONNECTED"
            client.request("SEND", {"destination": "/gateway/token"}, token.encode())
        longer = longest(scene.steady_token, 32 * 1024)
        status, problem, _ = call(running, "", method="POST", body={"token": longer})
        assert (status, problem["code"]) == (401, "token_invalid")
        assert "at most 16384 bytes" in problem["detail"]
        # SIGHUP makes room for it in the heads of requests, too.
        assert "reloaded: auth.issuers" in running.reload(
            scene.steady_table.replace('roles_claim = "realm_access.roles"\n', most)
        )
        assert call(running, longer)[0] == 200
        with StompClient(ws) as client:
            assert client.connect(longer).command == "CONNECTED"
            client.request("SEND", {"destination": "/gateway/token"}, longer.encode())


def test_the_commands_know_every_issuer(
    environment: dict[str, str], file: Path, scene: Scene, run: Run
) -> None:
    file.write_text(scene.steady_table + scene.other_table)
    checked = run("check-config")
    assert checked.returncode == 0, checked.stderr
    assert scene.other.url in checked.stdout
    told = run("doctor").stdout
    assert f"ok     tokens of {scene.steady.url} (auth.issuers.0)" in told
    assert f"ok     tokens of {scene.other.url} (auth.issuers.1)" in told
    scene.other.kids = []
    assert (
        f"WRONG  tokens of {scene.other.url} (auth.issuers.1): it holds no key for ES384"
        in run("doctor").stdout
    )
    assert "only with a shared secret" in run("token", "kim").stderr
    secret = "the issuer's secret, long enough for HS256"
    shared = (
        f'[[auth.issuers]]\nissuer = "school"\nalgorithms = ["HS256"]\nsecret = "{secret}"\n'
        'audience = "interact"\nuser_prefix = "s:"\n'
    )
    file.write_text(scene.steady_table + shared)
    token = run("token", "kim").stdout.strip()
    assert jwt.decode(token, secret, ["HS256"], audience="interact")["sub"] == "kim"
    assert run("token", "kim", "--issuer", "school").returncode == 0
    assert "only with a shared secret" in run("token", "kim", "--issuer", scene.steady.url).stderr
    assert "no issuer nowhere" in run("token", "kim", "--issuer", "nowhere").stderr
    assert secret not in run("check-config").stdout
    file.write_text(scene.steady_table.replace(str(scene.authority), "none.pem"))
    refused = run("check-config")
    assert refused.returncode == 2
    assert "auth.issuers.0.ca_file" in refused.stderr
