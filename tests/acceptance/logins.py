"""Logging in to gateways with local accounts, and what the sessions open."""

import json
import secrets
from http.client import HTTPConnection
from typing import Any

from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.stomp_client import StompClient

PASSWORD = secrets.token_urlsafe(12)
#: Seconds. One is promised, and measured by a virtual clock in the unit tier; here many processes
#: share few cores.
SOON = 5.0

Cookie = dict[str, str]


def command(gateway: GatewayProcess, *arguments: str) -> None:
    """Run a command that succeeds."""
    code, told = gateway.command(*arguments, stdin=f"{PASSWORD}\n")
    assert code == 0, told


def user_command(gateway: GatewayProcess, *arguments: str) -> None:
    command(gateway, "user", *arguments)


def try_to_log_in(gateway: GatewayProcess, **proof: str) -> tuple[int, dict[str, Any], Cookie]:
    """Status, JSON and cookie; by default with the account of hana."""
    wanted = proof or {"user": "hana", "password": PASSWORD}
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/api/session", json.dumps(wanted), headers)
        answer = connection.getresponse()
        cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
        found = answer.status, json.loads(answer.read())
    finally:
        connection.close()
    if cookie:
        gateway.never_shows(cookie.partition("=")[2])
    return *found, {"Cookie": cookie}


def log_in(gateway: GatewayProcess, **proof: str) -> Cookie:
    status, answer, cookie = try_to_log_in(gateway, **proof)
    assert status == 200, answer
    return cookie


def follow(
    gateway: GatewayProcess, proof: Cookie, *destinations: str, user: str = "hana"
) -> StompClient:
    """A socket of somebody's session or token, with subscriptions."""
    client = StompClient(gateway.ws_url, headers=proof)
    assert client.connect(interact_user=user).command == "CONNECTED"
    for number, destination in enumerate(destinations):
        client.subscribe(destination, id=str(number))
    return client
