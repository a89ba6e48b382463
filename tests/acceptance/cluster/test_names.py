"""One form of a user's name on two gateways, with what is shown beside it."""

from unicodedata import normalize
from urllib.parse import quote

import pytest

from tests.acceptance.conftest import StartGateway
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import StompClient

pytestmark = [pytest.mark.cluster, pytest.mark.postgres]

COMPOSED = "김하나"
DECOMPOSED = normalize("NFD", COMPOSED)
PASSWORD = "a good password"


def _log_in(gateway: GatewayProcess, user: str) -> dict[str, str]:
    """The cookie's header, after a log-in as the page does it."""
    body = {"user": user, "password": PASSWORD}
    with gateway._request("POST", "/api/session", body, {"Content-Type": "application/json"}) as it:
        assert it.status == 200, it.read()
        return {"Cookie": (it.headers["Set-Cookie"] or "").partition(";")[0]}


def test_a_user_is_one_at_every_door_of_both_gateways(
    start_gateway: StartGateway, postgres_url: str
) -> None:
    store = postgres_url.replace("+asyncpg", "")
    north, south = (start_gateway(number=number, store=store) for number in (0, 1))
    code, told = north.command(
        *("user", "add", DECOMPOSED, "--password-stdin", "--role", "host"),
        *("--display-name", "Hana Kim"),
        stdin=f"{PASSWORD}\n",
    )
    assert code == 0, told
    hana = _log_in(south, COMPOSED)
    status, made = south.call(
        "POST", "/api/rooms", {"title": "x", "members": [{"user": "ｐａｕｌ"}]}, headers=hana
    )
    assert status in {201, 202}, made
    room = made["id"]
    # A token of the other spelling, at the other gateway.
    with StompClient(north.ws_url) as paul, StompClient(south.ws_url, headers=hana) as host:
        paul.connect(north.token("paul"))
        assert host.connect().command == "CONNECTED"
        for client in (paul, host):
            client.subscribe(f"/topic/{PREFIX}.public.{room}")
        assert south.call("POST", f"/api/rooms/{room}/messages", {"body": 1}, headers=hana)[0] < 300
        for client in (paul, host):
            message = client.message().json
            assert (message["sender"], message["name"]) == (COMPOSED, "Hana Kim")
        assert north.post(room, "ｐａｕｌ", 2)[0] < 300
        for client in (paul, host):
            message = client.message().json
            # Nothing better is known than what the issuer has written.
            assert (message["sender"], message["name"]) == ("paul", "ｐａｕｌ")
        # Removed by the third spelling, and gone at both.
        path = f"/api/rooms/{room}/members/{quote('ｐａｕｌ')}"
        assert south.call("DELETE", path, headers=hana)[0] == 204
        error, closed = paul.error()
        assert (error.headers["message"], closed) == ("removed", 4003)
    messages = north.history(room, COMPOSED)["messages"]
    assert [(each["sender"], each.get("name")) for each in messages] == [
        (COMPOSED, "Hana Kim"),
        ("paul", "ｐａｕｌ"),
    ]
