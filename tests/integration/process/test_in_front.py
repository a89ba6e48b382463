"""nginx, HAProxy and Apache in front of gateways, by the configurations of conf/, each as it stands
there but for addresses and files."""

from __future__ import annotations

import json
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPSConnection
from http.cookies import SimpleCookie
from pathlib import Path
from ssl import create_default_context
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from websocket import WebSocketException, WebSocketTimeoutException

from bench_suite.child import running
from devenv.tls import Pair, ensure
from tests.acceptance.broker_view import wait_for
from tests.acceptance.stomp_client import StompClient
from tests.integration.process.conftest import JWT_SECRET
from tests.integration.process.test_leaving import drain
from tests.integration.process.test_serving import get, serving

BELOW = "/interact"
CONF = Path(__file__).parents[3] / "conf"
MODULES = "/usr/lib/apache2/modules"
#: The gateways trust the proxies at the first one, or where those only pass on bytes at the third;
#: the second is a client's.
PROXY, CLIENT, PASSING = "127.0.0.1", "127.0.0.2", "127.0.0.3"
#: Seconds: what the documents promise, and the gateway's pings, must fit into each time-out.
IDLE, PINGS = 75, 30

#: What Debian's apache2.conf has around a site.
_APACHE = """
ServerName localhost
ServerRoot $folder
DefaultRuntimeDir $folder
PidFile $folder/apache.pid
ErrorLog /dev/stderr
"""
_APACHE_MODULES = (
    "mpm_event authz_core headers ssl socache_shmcb slotmem_shm proxy proxy_http"
    " proxy_balancer proxy_hcheck lbmethod_bybusyness"
)


@dataclass(frozen=True)
class Program:
    """A proxy and its configuration below conf/. ``idle`` finds the seconds after which it ends a
    silent WebSocket; ``sticky`` are the lines that are commented out."""

    name: str
    file: str
    idle: str
    sticky: tuple[str, ...] = ()


NGINX = Program("nginx", "nginx/nginx.conf", r"(proxy_read_timeout )(\d+)s", ("hash",))
HAPROXY = Program("haproxy", "haproxy/haproxy.cfg", r"(timeout tunnel )(\d+)s", ("cookie",))
APACHE = Program(
    "apache2",
    "apache/interact.conf",
    r"((?<![a-z])[Tt]imeout[= ])(\d+)",
    ("Header", "ProxySet stickysession"),
)
#: Those that pass on bytes.
NGINX_STREAM = Program("nginx", "nginx/stream.conf", r"(proxy_timeout )(\d+)s")
HAPROXY_TCP = Program("haproxy", "haproxy/tcp.cfg", r"(timeout (?:client|server) )(\d+)s")


@dataclass(frozen=True)
class Front:
    """A proxy that runs."""

    port: int
    authority: Path

    def call(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, str, HTTPMessage]:
        """As from the client's address."""
        context = create_default_context(cafile=self.authority)
        connection = HTTPSConnection(
            "localhost", self.port, timeout=30, context=context, source_address=(CLIENT, 0)
        )
        raw = None if body is None else json.dumps(body)
        sent = headers | ({} if body is None else {"Content-Type": "application/json"})
        try:
            connection.request(method, BELOW + path, raw, sent)
            response = connection.getresponse()
            return response.status, response.read().decode(), response.headers
        finally:
            connection.close()

    def connect(self, user: str) -> StompClient:
        client = StompClient(
            f"wss://localhost:{self.port}{BELOW}/ws",
            headers={"Authorization": f"Bearer {token(user)}"},
            authority=self.authority,
        )
        assert client.connect().command == "CONNECTED"
        return client


Run = Callable[..., Any]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return ensure(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def run(tmp_path: Path, pair: Pair) -> Run:
    """Runs a proxy in front of gateways. ``changed`` makes a variant of its configuration."""
    both = tmp_path / "fullchain-and-key.pem"
    both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    with socket.socket() as probe:
        probe.bind((PROXY, 0))
        port = probe.getsockname()[1]

    @contextmanager
    def start(
        program: Program, gateways: list[Gateway], changed: Callable[[str], str] = str
    ) -> Iterator[Front]:
        text = _without_a_broker(changed((CONF / program.file).read_text()))
        for number in (1, 2):
            address = f"{PROXY}:{gateways[min(number, len(gateways)) - 1].port}"
            text, count = re.subn(rf"gateway-{number}\.example:\d+", address, text)
            assert count == 1
        for there, here in (
            ("/etc/interact/fullchain-and-key.pem", str(both)),
            ("/etc/interact/fullchain.pem", str(pair.certificate)),
            ("/etc/interact/key.pem", str(pair.key)),
            ("/run/nginx.pid", f"{tmp_path}/nginx.pid"),
            ("/var/log/nginx/error.log", "stderr"),
            ("listen 443", f"listen {PROXY}:{port}"),
            ("Listen 443", f"Listen {PROXY}:{port}"),
            ("<VirtualHost *:443>", f"<VirtualHost {PROXY}:{port}>"),
            ("bind :443", f"bind {PROXY}:{port}"),
            # As many files as the tests may open; a service has more.
            ("maxconn 20000", "maxconn 2000"),
            ("rooms.school.example", "localhost"),
        ):
            text = text.replace(there, here)
        assert ".example" not in text
        assert "443" not in text
        command = _command(program, text, tmp_path)
        with running(command, log=tmp_path / f"{program.name}.log") as child:

            def listens() -> bool:
                assert child.alive, child.log_tail()
                with socket.socket() as probe:
                    return probe.connect_ex((PROXY, port)) == 0

            wait_for(listens)
            yield Front(port, pair.authority)

    return start


def _command(program: Program, text: str, folder: Path) -> list[str]:
    path = shutil.which(program.name, path="/usr/sbin:/usr/bin")
    assert path is not None
    file = folder / Path(program.file).name
    if program.name == "haproxy":
        file.write_text(text)
        return [path, "-db", "-f", str(file)]
    if program.name == "nginx":
        # A worker that may not be somebody else could not read what this user has here.
        text = f"daemon off;\nuser root;\n{text}".replace("modules/", "/usr/lib/nginx/modules/")
        kept = "".join(
            f"    {each}_temp_path {folder}/{each};\n"
            for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        file.write_text(text.replace("http {\n", f"http {{\n{kept}"))
        return [path, "-p", str(folder), "-e", "stderr", "-c", str(file)]
    modules = "".join(
        f"LoadModule {each}_module {MODULES}/mod_{each}.so\n" for each in _APACHE_MODULES.split()
    )
    file.write_text(_APACHE.replace("$folder", str(folder)) + modules + text)
    return [path, "-D", "FOREGROUND", "-f", str(file)]


@dataclass(frozen=True)
class Gateway:
    """A gateway that runs, without a broker: what is said in its rooms comes from the history."""

    port: int
    internal: str


@contextmanager
def started(environment: dict[str, str], **server: str) -> Iterator[Gateway]:
    own = {f"GATEWAY_SERVER__{key.upper()}": value for key, value in server.items()}
    with serving(environment | {"GATEWAY_SERVER__PATH": BELOW} | own) as (_, public, internal):
        port = urlsplit(public).port
        assert port is not None
        yield Gateway(port, internal)


def token(user: str, *roles: str) -> str:
    now = time.time()
    claims = {"sub": user, "iss": "school", "aud": "interact", "iat": now, "exp": now + 600}
    return jwt.encode(claims | {"roles": roles}, JWT_SECRET, algorithm="HS256")


def _without_a_broker(text: str) -> str:
    """The proxy asks whether a gateway lives: without RabbitMQ none is ready."""
    text = text.replace("/readyz", "/healthz")
    return text.replace("option httpchk\n", "option httpchk GET /healthz\n")


@pytest.mark.parametrize("program", [NGINX, HAPROXY, APACHE], ids=lambda each: each.name)
def test_people_come_in_by_a_proxy(program: Program, environment: dict[str, str], run: Run) -> None:
    trusting = {"trusted_proxies": json.dumps([f"{PROXY}/32"])}
    leaving = {"notice_time": "1", "drain_time": "0.5"}
    with (
        started(environment, **trusting) as stays,
        started(environment, **trusting, **leaving) as leaves,
    ):
        gateways = [stays, leaves]
        with run(program, gateways, _hasty(program)) as front:
            _stay_at_one(front, gateways)
            with front.connect("paul") as silent, pytest.raises(WebSocketException) as ended:
                silent.receive()
            assert not isinstance(ended.value, WebSocketTimeoutException)
        with run(program, gateways) as front, ExitStack() as stack:
            _pages_and_sessions_work(front)
            # Without a broker it is 503, and so is a user's refusal: nobody else must notice.
            assert [front.call("GET", "/readyz")[0] for _ in range(4)] == [503] * 4
            assert _answered_by(front, gateways, f"Bearer {token('paul')}") == set(gateways)
            room = _room(front)
            topic = f"/topic/acdm.mo.interact.public.{room}"
            clients = [stack.enter_context(front.connect("paul")) for _ in range(4)]
            for client in clients:
                client.subscribe(topic)
            assert _say(front, room, "hello") == 202
            assert [client.message().json["body"] for client in clients] == ["hello"] * 4
            if program is not NGINX:
                return
            # It asks for no health: what a gateway that drains refuses goes to the other one.
            there = _connections(leaves)
            assert 1 <= there <= 3
            assert drain(leaves.internal)[0] == 202
            while _connections(leaves):
                assert _say(front, room, "meanwhile") == 202
                with front.connect("paul"):
                    pass
                time.sleep(0.05)
            assert _say(front, room, "the last") == 202
            assert sum(_sent_away(client) for client in clients) == there


@pytest.mark.parametrize("program", [NGINX, HAPROXY, APACHE, NGINX_STREAM, HAPROXY_TCP])
def test_a_silent_socket_outlives_what_a_browser_is_silent(program: Program) -> None:
    found = re.findall(program.idle, (CONF / program.file).read_text())
    assert found
    # And one ping may be late.
    assert all(int(seconds) > max(IDLE, 2 * PINGS) for _, seconds in found)


def _from_its_own_address(text: str) -> str:
    """The proxy, where the gateways trust it."""
    text = text.replace("proxy_pass gateways;", f"proxy_pass gateways; proxy_bind {PASSING};")
    return text.replace("    default-server", f"    source {PASSING}\n    default-server")


def _version_1(text: str) -> str:
    return _from_its_own_address(text).replace("send-proxy-v2", "send-proxy")


def test_bytes_are_passed_on_and_the_header_says_whose_they_are(
    environment: dict[str, str], pair: Pair, run: Run
) -> None:
    server = {
        "trusted_proxies": json.dumps([f"{PASSING}/32"]),
        "proxy_protocol": "true",
        "tls": json.dumps({"certificate": str(pair.certificate), "key": str(pair.key)}),
    }
    with started(environment, **server) as gateway:
        for program, changed in (
            (HAPROXY_TCP, _from_its_own_address),
            (HAPROXY_TCP, _version_1),
            (NGINX_STREAM, _from_its_own_address),
        ):
            with run(program, [gateway], changed) as front:
                _pages_and_sessions_work(front)
                room = _room(front)
                with front.connect("paul") as client:
                    client.subscribe(f"/topic/acdm.mo.interact.public.{room}")
                    assert _say(front, room, "hello") == 202
                    assert client.message().json["body"] == "hello"


def _hasty(program: Program) -> Callable[[str], str]:
    """Its configuration with a second of patience, and sticky."""

    def changed(text: str) -> str:
        text = re.sub(program.idle, lambda found: found[0].replace(found[2], "1"), text)
        for line in program.sticky:
            text, count = re.subn(rf"#({line})", r"\1", text)
            assert count == 1
        return text

    return changed


def _pages_and_sessions_work(front: Front) -> None:
    def page() -> bool:
        # As soon as the proxy has found a gateway to be there.
        status, text, _ = front.call("GET", "/")
        return status == 200 and f'"{BELOW}/static/' in text

    wait_for(page)
    body = {"token": token("paul")}
    claims = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
    status, _, headers = front.call("POST", "/api/session", body, **claims)
    assert status == 200
    (cookie,) = SimpleCookie(headers["Set-Cookie"]).values()
    assert cookie.key == "__Secure-interact_session.interact"
    assert (cookie["path"], cookie["secure"]) == (BELOW, True)
    status, text, _ = front.call(
        "GET", "/api/sessions", Cookie=f"{cookie.key}={cookie.value}", **claims
    )
    assert status == 200
    (session,) = [each for each in json.loads(text)["sessions"] if each["current"]]
    assert session["address"] == CLIENT


def _room(front: Front) -> int:
    bearer = f"Bearer {token('hana', 'host')}"
    body = {"title": "a room", "members": [{"user": "paul", "role": "participant"}]}
    status, text, _ = front.call("POST", "/api/rooms", body, Authorization=bearer)
    assert status in {201, 202}
    return int(json.loads(text)["id"])


def _say(front: Front, room: int, text: str) -> int:
    path = f"/api/rooms/{room}/messages"
    bearer = f"Bearer {token('hana')}"
    return front.call("POST", path, {"body": text}, Authorization=bearer)[0]


def _stay_at_one(front: Front, gateways: list[Gateway]) -> None:
    bearer = f"Bearer {token('paul')}"
    given: dict[str, str] = {}

    def first() -> bool:
        status, _, headers = front.call("GET", "/api/session", Authorization=bearer)
        if (cookie := headers.get("Set-Cookie")) is not None:
            given["Cookie"] = cookie.partition(";")[0]
        return status == 200

    wait_for(first)
    assert len(_answered_by(front, gateways, bearer, **given)) == 1


def _answered_by(
    front: Front, gateways: list[Gateway], bearer: str, **headers: str
) -> set[Gateway]:
    """The gateways that answer eight calls."""
    before = {each: _answers(each) for each in gateways}
    for _ in range(8):
        assert front.call("GET", "/api/session", Authorization=bearer, **headers)[0] == 200
    return {each for each in gateways if _answers(each) > before[each]}


def _answers(gateway: Gateway) -> float:
    name = 'gateway_http_requests_total{method="GET",route="session",status="200"} '
    return _metric(gateway, name)


def _connections(gateway: Gateway) -> int:
    try:
        return int(_metric(gateway, "gateway_connections "))
    except (OSError, HTTPException):
        # It has ended.
        return 0


def _metric(gateway: Gateway, name: str) -> float:
    lines = get(gateway.internal, "/metrics")[1].splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def _sent_away(client: StompClient) -> bool:
    """Whether the client is told to leave, before it hears the last word."""
    while True:
        frame = client.receive()
        if frame.command == "ERROR":
            assert frame.headers["message"] == "draining"
            assert client.closed() == 1012
            return True
        if frame.json["body"] == "the last":
            return False
