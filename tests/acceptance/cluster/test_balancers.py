"""HAProxy and Apache, by the configurations of conf/, in front of two gateways that are ready: they
find by /readyz alone which one leaves, and which one is back."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from devenv.tls import ensure
from tests.acceptance.broker_view import wait_for
from tests.acceptance.conftest import StartGateway
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import StompClient
from tests.proxies import APACHE, BELOW, HAPROXY, PROXY, Front, fronting

pytestmark = [pytest.mark.cluster, pytest.mark.postgres]


@pytest.fixture
def gateways(start_gateway: StartGateway, postgres_url: str) -> list[GatewayProcess]:
    """One that stays, and one that will not end its notice by itself."""
    store = postgres_url.replace("+asyncpg", "")
    trusting = f'trusted_proxies = ["{PROXY}"]\ndrain_time = 0.5'
    return [
        start_gateway(
            number=number,
            store=store,
            path=BELOW,
            notice_time=600.0,
            server=f'name = "gateway-{number}"\n{trusting}',
        )
        for number in (0, 1)
    ]


@pytest.fixture
def fronts(gateways: list[GatewayProcess], tmp_path: Path) -> Iterator[list[Front]]:
    pair, ports = ensure(tmp_path / "tls"), [each.port for each in gateways]
    with ExitStack() as stack:
        made = []
        for program in (HAPROXY, APACHE):
            folder = tmp_path / program.name
            folder.mkdir()
            made.append(stack.enter_context(fronting(program, ports, folder, pair)))
        yield made


def test_nobody_notices_a_gateway_that_leaves_and_comes_back(
    gateways: list[GatewayProcess], fronts: list[Front]
) -> None:
    stays, leaves = gateways
    room = stays.room("hana", "paul")
    topic = f"/topic/{PREFIX}.public.{room}"
    said = 0

    def say() -> None:
        """Something by each of the proxies, more than once; all of it arrives."""
        nonlocal said
        for front in fronts * 4:
            bearer = f"Bearer {stays.token('hana')}"
            path = f"/api/rooms/{room}/messages"
            status, text, _ = front.call("POST", path, {"body": said}, Authorization=bearer)
            assert status in {201, 202}, text
            said += 1
            assert json.loads(text)["seq"] == said

    with ExitStack() as stack:
        clients: list[tuple[Front, StompClient]] = []
        for front in fronts:
            wait_for(partial(is_ready, front))
            there, elsewhere = connections(leaves), connections(stays)
            # Each has clients by each proxy.
            while connections(leaves) == there or connections(stays) == elsewhere:
                client = stack.enter_context(front.connect(stays.token("paul")))
                client.subscribe(topic)
                clients.append((front, client))
                assert len(clients) < 20
        say()
        assert posts(leaves) > 0
        before = connections(leaves)
        os.kill(leaves.pid, signal.SIGTERM)

        def is_left_alone() -> bool:
            asked = posts(leaves)
            say()
            return posts(leaves) == asked

        wait_for(is_left_alone)
        # Not because it refused anybody: it still gives notice, and its clients are there.
        assert connections(leaves) == before
        os.kill(leaves.pid, signal.SIGTERM)
        leaves.await_end()
        say()
        sent_away = 0
        for front, client in clients:
            heard, gone = read(client, said)
            if gone:
                sent_away += 1
                again = stack.enter_context(front.connect(stays.token("paul")))
                again.subscribe(topic, resume_after=str(len(heard)))
                heard += read(again, said - len(heard))[0]
            assert heard == list(range(said))
        assert sent_away == before

        leaves.start()
        for front in fronts:

            def is_asked_again(front: Front = front, asked: int = sessions(leaves)) -> bool:
                bearer = f"Bearer {stays.token('hana')}"
                assert front.call("GET", "/api/session", Authorization=bearer)[0] == 200
                return sessions(leaves) > asked

            wait_for(is_asked_again)


def is_ready(front: Front) -> bool:
    return front.call("GET", "/readyz")[0] == 200


def read(client: StompClient, count: int) -> tuple[list[int], bool]:
    """What the client hears, in order, and whether it is sent away before it has heard all."""
    heard: list[int] = []
    while len(heard) < count:
        frame = client.receive()
        if frame.command == "ERROR":
            assert (frame.headers["message"], client.closed()) == ("draining", 1012)
            return heard, True
        heard.append(frame.json["body"])
    return heard, False


def connections(gateway: GatewayProcess) -> int:
    return int(_metric(gateway, "gateway_connections "))


def posts(gateway: GatewayProcess) -> int:
    return int(_metric(gateway, 'gateway_http_requests_total{method="POST",route="messages"'))


def sessions(gateway: GatewayProcess) -> int:
    return int(_metric(gateway, 'gateway_http_requests_total{method="GET",route="session"'))


def _metric(gateway: GatewayProcess, name: str) -> float:
    lines = gateway.metrics().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))
