"""A login ends on both gateways: by logging out, and by the command line in another process."""

import time
from contextlib import ExitStack
from functools import partial
from urllib.parse import quote

import pytest

from tests.acceptance.broker_view import wait_for
from tests.acceptance.conftest import StartGateway
from tests.acceptance.gateway_process import PREFIX
from tests.acceptance.logins import SOON, Cookie, follow, log_in, user_command
from tests.acceptance.stomp_client import StompClient

pytestmark = [pytest.mark.cluster, pytest.mark.postgres]


def test_a_login_ends_on_both_gateways_with_its_sockets_and_relays(
    start_gateway: StartGateway, postgres_url: str
) -> None:
    store = postgres_url.replace("+asyncpg", "")
    gateways = [start_gateway(number=number, store=store) for number in (0, 1)]
    north, south = gateways
    user_command(north, "add", "hana", "--password-stdin", "--role", "host")
    room = north.room("hana")
    topic, queue = f"/topic/{PREFIX}.public.{room}", f"/queue/{PREFIX}.private.{room}"
    messages = f"/api/rooms/{room}/messages"

    def refused(cookie: Cookie) -> list[object]:
        """How both gateways take it, for reading and for posting."""
        answers = [gateway.call("GET", "/api/session", headers=cookie) for gateway in gateways]
        answers += [g.call("POST", messages, {"body": 1}, headers=cookie) for g in gateways]
        return [answer["code"] if status == 401 else status for status, answer in answers]

    for way in ("logging out", "removal", "password"):
        cookie, other = log_in(north), log_in(south)
        assert refused(cookie) == [200, 200, 201, 201]
        with ExitStack() as stack:
            sockets = [
                stack.enter_context(follow(gateway, cookie, topic, queue)) for gateway in gateways
            ]
            if way == "logging out":
                spared = stack.enter_context(follow(south, other, topic))
                assert north.call("DELETE", "/api/session", headers=cookie)[0] == 204
            elif way == "removal":
                user_command(north, "remove", "hana")
            else:
                user_command(north, "add", "hana", "--password-stdin", "--replace")
            began = time.monotonic()
            for socket in sockets:
                while (frame := socket.receive()).command == "MESSAGE":
                    pass
                assert (frame.command, frame.headers["message"]) == ("ERROR", "session_ended")
                assert socket.closed() == 4001
            assert time.monotonic() - began < SOON
            ended = ["session_ended"] * 4
            wait_for(partial(refused, cookie), wanted=ended.__eq__, within=SOON)
            if way == "logging out":
                assert refused(other) == [200, 200, 201, 201]
                assert spared.message().json["body"] == 1
                # One that starts afterwards has not heard of it.
                south.stop()
                south.start()
                assert refused(cookie) == ended
                south.await_ready()
            elif way == "removal":
                assert refused(other) == ended
                # Whoever has a token of that name is another user.
                assert north.post(room, "hana", "by token")[0] == 201
                user_command(north, "add", "hana", "--password-stdin", "--role", "host")


def test_a_tab_that_believes_to_be_somebody_else_is_told_before_anything_happens(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway()
    user_command(gateway, "add", "hana", "--password-stdin", "--role", "host")
    cookie = log_in(gateway)
    believing = cookie | {"Interact-User": quote("김하나", safe="")}
    status, problem = gateway.call("POST", "/api/rooms", {"title": "x"}, headers=believing)
    assert (status, problem["code"]) == (401, "user_changed")
    with StompClient(gateway.ws_url, headers=cookie) as client:
        client.send("CONNECT", {"accept-version": "1.2", "interact-user": "김하나"})
        error, code = client.error()
        assert (error.headers["message"], code) == ("user_changed", 4001)
    with follow(gateway, cookie):
        pass
