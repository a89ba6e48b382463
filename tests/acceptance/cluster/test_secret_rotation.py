"""The gateways' secret changes on one gateway after the other, and nobody notices."""

from contextlib import ExitStack
from itertools import product

import pytest

from tests.acceptance.conftest import StartGateway
from tests.acceptance.gateway_process import AUTH_SECRET, PREFIX, GatewayProcess
from tests.acceptance.logins import Cookie, follow, log_in, user_command

pytestmark = [pytest.mark.cluster, pytest.mark.postgres]

NEXT = "the next secret of these gateways, long enough"


def from_the_bus(gateway: GatewayProcess, outcome: str) -> float:
    name = f'gateway_bus_messages_total{{outcome="{outcome}"}} '
    lines = gateway.metrics().splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def use(gateways: list[GatewayProcess], queue: str, *cookies: Cookie) -> None:
    """Each cookie counts at both gateways, RabbitMQ takes the passcodes of both, and what one says
    to the other is heard."""
    for cookie, gateway in product(cookies, gateways):
        assert gateway.call("GET", "/api/session", headers=cookie)[0] == 200
    for gateway in gateways:
        with follow(gateway, cookies[-1], queue):
            pass
    heard = [from_the_bus(gateway, "received") for gateway in gateways]
    status, page = gateways[0].call("GET", "/api/admin/connections", headers=cookies[-1])
    assert (status, page["missing"]) == (200, {})
    for gateway, before in zip(gateways, heard, strict=True):
        assert from_the_bus(gateway, "received") > before


def test_a_rotation_on_two_gateways_ends_no_session_no_relay_and_no_word_between_them(
    start_gateway: StartGateway, postgres_url: str
) -> None:
    store = postgres_url.replace("+asyncpg", "")
    gateways = [start_gateway(number=number, store=store) for number in (0, 1)]
    north, south = gateways
    user_command(north, "add", "hana", "--password-stdin", "--role", "host", "--role", "admin")
    room = north.room("hana")
    topic, queue = f"/topic/{PREFIX}.public.{room}", f"/queue/{PREFIX}.private.{room}"
    first = log_in(north)

    with ExitStack() as stack:
        sockets = [stack.enter_context(follow(gateway, first, topic)) for gateway in gateways]
        use(gateways, queue, first)
        for versions in ((AUTH_SECRET, NEXT), (NEXT, AUTH_SECRET)):
            for gateway in gateways:
                gateway.use_secret(*versions)
                use(gateways, queue, first, log_in(north), log_in(south))
        newest = log_in(south)
        for gateway in gateways:
            gateway.use_secret(NEXT)
            use(gateways, queue, newest)
            # Now the first secret has ended there, with what it has signed.
            status, problem = gateway.call("GET", "/api/session", headers=first)
            assert (status, problem["code"]) == (401, "token_invalid")
        # The sockets were there all the time.
        assert (
            north.call("POST", f"/api/rooms/{room}/messages", {"body": 1}, headers=newest)[0] == 201
        )
        for socket in sockets:
            assert socket.message().json["body"] == 1
    for gateway in gateways:
        assert from_the_bus(gateway, "forged") == 0
