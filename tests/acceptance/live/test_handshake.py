"""Handshakes: the users and origins that are accepted, and requests that are no WebSocket at
all."""

import base64
import json
import socket
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import jwt
import psutil
import pytest
import websocket

from gateway.auth.session_cookie import SESSION_COOKIE
from tests.acceptance.gateway_process import AUDIENCE, ISSUER, GatewayProcess
from tests.acceptance.stomp_client import StompClient


@dataclass(frozen=True)
class Answer:
    """The HTTP answer to a handshake."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        return dict(json.loads(self.body))


def _upgrade(gateway: GatewayProcess, *, drop: str = "", **changed: str) -> Answer:
    """A handshake as a browser sends it, with headers changed (`_` for `-`) or left out."""
    headers = {
        "Host": f"127.0.0.1:{gateway.port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "v12.stomp",
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    headers.pop(drop, None)
    lines = ["GET /ws HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    with (
        socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as raw,
        raw.makefile("rb") as reader,
    ):
        raw.sendall("\r\n".join([*lines, "", ""]).encode())
        status = int(reader.readline().split()[1])
        answered = {}
        while line := reader.readline().strip().decode():
            name, _, value = line.partition(": ")
            answered[name.lower()] = value
        return Answer(status, answered, reader.read(int(answered.get("content-length", "0"))))


def _forged(gateway: GatewayProcess) -> str:
    claims = jwt.decode(gateway.token("paul"), options={"verify_signature": False})
    return jwt.encode(claims, "another secret of thirty-two bytes", algorithm="HS256")


def _unsigned(gateway: GatewayProcess) -> str:
    claims = jwt.decode(gateway.token("paul"), options={"verify_signature": False})
    return jwt.encode(claims, "", algorithm="none")


BAD_TOKENS = {
    "empty": lambda gateway: "",
    "no token": lambda gateway: "abc",
    "forged": _forged,
    "unsigned": _unsigned,
    "expired": lambda gateway: gateway.token("paul", lifetime=-60),
    "for another audience": lambda gateway: gateway.token("paul", aud="somebody else"),
    "by another issuer": lambda gateway: gateway.token("paul", iss="https://evil.example"),
    "not valid yet": lambda gateway: gateway.token("paul", nbf=4_000_000_000),
    "of nobody": lambda gateway: gateway.token(""),
    "too long": lambda gateway: gateway.token("paul", filler="x" * 13_000),
}


@pytest.mark.parametrize("make", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_a_bad_token_is_refused_before_the_upgrade(make: Any, gateway: GatewayProcess) -> None:
    token, logins = make(gateway), gateway.relay_logins()
    answer = _upgrade(gateway, Authorization=f"Bearer {token}")
    assert answer.status == 401
    assert answer.problem["status"] == 401
    assert answer.problem["code"] in ("not_authenticated", "token_invalid", "token_expired")
    assert not token or token.encode() not in answer.body
    assert gateway.relay_logins() == logins


def test_an_expired_token_is_called_so(gateway: GatewayProcess) -> None:
    answer = _upgrade(gateway, Authorization=f"Bearer {gateway.token('paul', lifetime=-60)}")
    assert answer.problem["code"] == "token_expired"


@pytest.mark.parametrize("make", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_a_bad_token_in_connect_ends_the_connection(make: Any, gateway: GatewayProcess) -> None:
    with StompClient(gateway.ws_url) as client:
        client.send("CONNECT", {"accept-version": "1.2", "passcode": make(gateway)[:16_000]})
        error, code = client.error()
    assert code == 4001
    assert error.headers["message"] in ("not_authenticated", "token_invalid", "token_expired")


def test_a_connect_without_a_token_is_told_how(gateway: GatewayProcess) -> None:
    with StompClient(gateway.ws_url) as client:
        client.send("CONNECT", {"accept-version": "1.2"})
        error, code = client.error()
    assert (error.headers["message"], code) == ("not_authenticated", 4001)
    assert b"passcode" in error.body


@pytest.mark.parametrize("cookie", ["abc", "a.b.c", "x" * 5_000])
def test_a_bad_cookie_is_refused_before_the_upgrade(cookie: str, gateway: GatewayProcess) -> None:
    assert _upgrade(gateway, Cookie=f"{SESSION_COOKIE}={cookie}").status == 401


def test_a_jwt_is_no_session_cookie(gateway: GatewayProcess) -> None:
    assert _upgrade(gateway, Cookie=f"{SESSION_COOKIE}={gateway.token('paul')}").status == 401


@pytest.mark.parametrize(
    ("header", "named"),
    [("Authorization", "Bearer {}"), ("authorization", "bearer {}"), ("passcode", "{}")],
)
def test_a_token_in_connect_logs_in(header: str, named: str, gateway: GatewayProcess) -> None:
    with StompClient(gateway.ws_url) as client:
        sent = {"accept-version": "1.2", header: named.format(gateway.token("paul"))}
        client.send("CONNECT", sent)
        assert client.receive().command == "CONNECTED"


def test_a_token_at_the_handshake_needs_none_in_connect(gateway: GatewayProcess) -> None:
    bearer = {"Authorization": f"Bearer {gateway.token('paul')}"}
    with StompClient(gateway.ws_url, headers=bearer) as client:
        assert client.connect().command == "CONNECTED"


def test_a_session_cookie_logs_in(gateway: GatewayProcess) -> None:
    with _session(gateway, "paul") as client:
        assert client.connect().command == "CONNECTED"


def test_a_socket_does_not_outlive_its_token_before_connect(gateway: GatewayProcess) -> None:
    ends = int(time.time() + 2.0)
    bearer = {"Authorization": f"Bearer {gateway.token('paul', lifetime=0, exp=ends)}"}
    with StompClient(gateway.ws_url, headers=bearer) as client:
        error, code = client.error()
    assert (error.headers["message"], code) == ("token_expired", 4001)
    assert 0 <= time.time() - ends <= 1.0


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"login": "mina"}, ("credentials_differ", 4003)),
        ({"login": "guest", "passcode": "guest"}, ("credentials_differ", 4003)),
        ({"passcode": "mina's"}, ("credentials_differ", 4003)),
        ({"passcode": "guest"}, ("token_invalid", 4001)),
        ({"login": "paul", "passcode": "paul's"}, None),
        ({"login": "ｐａｕｌ"}, None),
    ],
)
def test_a_connect_that_names_another_user_than_the_handshake_is_refused(
    sent: dict[str, str], told: tuple[str, int] | None, gateway: GatewayProcess
) -> None:
    headers = {
        name: gateway.token(value.removesuffix("'s")) if value.endswith("'s") else value
        for name, value in sent.items()
    }
    with _session(gateway, "paul") as client:
        client.send("CONNECT", {"accept-version": "1.2", **headers})
        if told is None:
            assert client.receive().command == "CONNECTED"
        else:
            error, code = client.error()
            assert (error.headers["message"], code) == told


def _session(gateway: GatewayProcess, user: str) -> StompClient:
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.request(
        "POST",
        "/api/session",
        json.dumps({"token": gateway.token(user)}),
        {"Content-Type": "application/json"},
    )
    response = connection.getresponse()
    cookie = (response.headers["Set-Cookie"] or "").partition(";")[0]
    connection.close()
    return StompClient(gateway.ws_url, headers={"Cookie": cookie})


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1", "x"]
)
def test_a_foreign_origin_is_refused(origin: str, gateway: GatewayProcess) -> None:
    answer = _upgrade(gateway, Origin=origin, Authorization=f"Bearer {gateway.token('paul')}")
    assert (answer.status, answer.problem["code"]) == (403, "origin_refused")


def test_the_allowed_origin_and_clients_without_one_come_in(gateway: GatewayProcess) -> None:
    assert _upgrade(gateway, Origin=gateway.url).status == 101
    assert _upgrade(gateway).status == 101


@pytest.mark.parametrize(
    ("drop", "changed", "status"),
    [
        ("Upgrade", {}, 426),
        ("Connection", {}, 426),
        ("", {"Upgrade": "h2c"}, 426),
        ("", {"Connection": "keep-alive"}, 426),
        ("Sec-WebSocket-Version", {}, 426),
        ("", {"Sec_WebSocket_Version": "8"}, 426),
        ("Sec-WebSocket-Key", {}, 400),
        ("", {"Sec_WebSocket_Key": "short"}, 400),
        ("", {"Sec_WebSocket_Protocol": "mqtt"}, 400),
    ],
)
def test_a_handshake_that_is_no_websocket_is_told_so(
    drop: str, changed: dict[str, str], status: int, gateway: GatewayProcess
) -> None:
    answer = _upgrade(gateway, drop=drop, **changed)
    assert answer.status == status
    assert answer.problem["detail"]
    if status == 426:
        assert answer.headers["upgrade"] == "websocket"
        assert answer.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["v12.stomp", "v11.stomp", "v10.stomp"], "v12.stomp"),
        (["v10.stomp", "v11.stomp"], "v11.stomp"),
        (["mqtt", "v10.stomp"], "v10.stomp"),
        ([], None),
    ],
)
def test_the_highest_offered_subprotocol_is_chosen(
    offered: list[str], chosen: str | None, gateway: GatewayProcess
) -> None:
    with StompClient(gateway.ws_url, subprotocols=offered) as client:
        assert client.socket.getsubprotocol() == chosen
        assert client.connect(gateway.token("paul")).headers["version"] == "1.2"


@pytest.mark.parametrize(
    ("accept", "version"),
    [("1.0", "1.0"), ("1.0,1.1", "1.1"), ("1.2,1.1,1.0", "1.2"), ("1.1,9.9", "1.1")],
)
def test_the_highest_version_that_both_speak_is_chosen(
    accept: str, version: str, gateway: GatewayProcess
) -> None:
    with StompClient(gateway.ws_url) as client:
        connected = client.connect(gateway.token("paul"), accept_version=accept)
    assert connected.headers["version"] == version


def test_no_version_in_common_is_a_broken_frame(gateway: GatewayProcess) -> None:
    with StompClient(gateway.ws_url) as client:
        client.send("CONNECT", {"accept-version": "3.0", "passcode": gateway.token("paul")})
        error, code = client.error()
    assert (error.headers["message"], code) == ("bad_frame", 1002)
    assert b"1.2" in error.body


def test_a_refused_handshake_leaves_the_gateway_as_it_was(gateway: GatewayProcess) -> None:
    before = _connections(gateway)
    for _ in range(50):
        with pytest.raises(websocket.WebSocketBadStatusException):
            StompClient(gateway.ws_url, headers={"Authorization": "Bearer x"})
    assert _connections(gateway) <= before


def _connections(gateway: GatewayProcess) -> int:
    return len(psutil.Process(gateway.pid).net_connections())


def test_no_token_in_the_address_is_looked_at(gateway: GatewayProcess) -> None:
    with StompClient(f"{gateway.ws_url}?access_token={ISSUER}{AUDIENCE}") as client:
        client.send("CONNECT", {"accept-version": "1.2"})
        assert client.error()[1] == 4001


@pytest.mark.parametrize("host", ["/", "127.0.0.1", "127.0.0.1:{port}"])
def test_connect_names_the_virtual_host_or_the_server(host: str, gateway: GatewayProcess) -> None:
    with StompClient(gateway.ws_url) as client:
        answer = client.connect(gateway.token("paul"), host=host.format(port=gateway.port))
    assert answer.command == "CONNECTED"


@pytest.mark.parametrize("host", ["other", "/other", "school.example"])
def test_connect_to_another_virtual_host_is_refused(host: str, gateway: GatewayProcess) -> None:
    with StompClient(gateway.ws_url) as client:
        error = client.connect(gateway.token("paul"), host=host)
        assert (error.headers["message"], client.closed()) == ("Bad CONNECT", 4003)
    assert repr(host) in error.body.decode()
