"""nginx, HAProxy and Apache in front of gateways, by the configurations of conf/, each as it stands
there but for addresses and files."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import pytest
from websocket import WebSocketException, WebSocketTimeoutException

from devenv.tls import Pair, ensure
from tests.acceptance.broker_view import wait_for
from tests.acceptance.stomp_client import StompClient
from tests.integration.process.conftest import JWT_SECRET
from tests.integration.process.test_leaving import drain
from tests.integration.process.test_serving import get, serving
from tests.proxies import (
    APACHE,
    BELOW,
    CLIENT,
    CONF,
    HAPROXY,
    HAPROXY_TCP,
    NGINX,
    NGINX_STREAM,
    PROXY,
    Front,
    Program,
    fronting,
)

#: Where the gateways trust proxies that only pass on bytes.
PASSING = "127.0.0.3"
#: Seconds: what the documents promise, and the gateway's pings, must fit into each time-out.
IDLE, PINGS = 75, 30

Run = Callable[..., AbstractContextManager[Front]]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return ensure(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def run(tmp_path: Path, pair: Pair) -> Run:
    """Runs a proxy in front of gateways. ``changed`` makes a variant of its configuration."""

    def start(
        program: Program, gateways: list[Gateway], changed: Callable[[str], str] = str
    ) -> AbstractContextManager[Front]:
        def without_a_broker(text: str) -> str:
            return _without_a_broker(changed(text))

        return fronting(program, [each.port for each in gateways], tmp_path, pair, without_a_broker)

    return start


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
            with front.connect(token("paul")) as silent, pytest.raises(WebSocketException) as ended:
                silent.receive()
            assert not isinstance(ended.value, WebSocketTimeoutException)
        with run(program, gateways) as front, ExitStack() as stack:
            _pages_and_sessions_work(front)
            # Without a broker it is 503, and so is a user's refusal: nobody else must notice.
            assert [front.call("GET", "/readyz")[0] for _ in range(4)] == [503] * 4
            assert _answered_by(front, gateways, f"Bearer {token('paul')}") == set(gateways)
            room = _room(front)
            topic = f"/topic/acdm.mo.interact.public.{room}"
            clients = [stack.enter_context(front.connect(token("paul"))) for _ in range(4)]
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
                with front.connect(token("paul")):
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
                with front.connect(token("paul")) as client:
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
