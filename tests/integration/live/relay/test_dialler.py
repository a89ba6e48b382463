"""Which node a relay gets, on scripted nodes."""

import asyncio
import time
from dataclasses import replace
from random import SystemRandom

import pytest

from broker.nodes.balancer import Balancer
from gateway.auth.passcodes import Passcodes
from gateway.auth.shared_secret import SharedSecret
from gateway.domain.broker_login import BrokerLogin
from gateway.domain.identity import Identity
from gateway.errors import (
    BrokerUnavailable,
    GatewayError,
    NoCapacity,
    UnknownVirtualHost,
    WrongLogin,
)
from gateway.live.relay.dialler import Dialler
from gateway.live.relay.pace import LEAST
from tests.integration.live.fake_node import FakeNode, serving

WHO = Identity("ann", frozenset({"host"}), 2e9)
REFUSED = "Bad CONNECT"


def dialler(*nodes: FakeNode) -> Dialler:
    balancer = Balancer((node.node for node in nodes), clock=time.monotonic, rng=SystemRandom())
    passcodes = Passcodes(SharedSecret("s" * 32), clock=time.time)
    return Dialler(balancer, passcodes, "/", timeout=5.0, tls=None)


def connections(found: Dialler) -> dict[str, int]:
    return {state.node.name: state.connections for state in found.balancer.states()}


def test_a_relay_logs_in_as_the_user_in_exactly_the_clients_version() -> None:
    async def course() -> None:
        async with serving(FakeNode("r1")) as node:
            found = dialler(node)
            upstream, lease = await found.dial(WHO, "1.2")
            (connect,) = node.received
            assert connect.command in ("CONNECT", "STOMP")
            assert connect.get("login") == "ann"
            assert connect.get("accept-version") == "1.2"
            assert found.passcodes.verify("ann", connect.get("passcode") or "") == {"host"}
            assert connections(found) == {"r1": 1}
            upstream.close()
            lease.release()
            assert connections(found) == {"r1": 0}

    asyncio.run(course())


def test_no_relay_takes_a_descriptor_that_is_kept_and_no_node_is_blamed() -> None:
    async def course() -> None:
        async with serving(FakeNode("r1")) as node:
            found = replace(dialler(node), has_room=lambda: False)
            with pytest.raises(NoCapacity, match="no file descriptor left"):
                await found.dial(WHO, "1.2")
            assert not node.received
            assert all(state.available for state in found.balancer.states())
            assert connections(found) == {"r1": 0}

    asyncio.run(course())


def test_a_node_whose_gateway_does_not_answer_is_passed_over_but_not_blamed() -> None:
    async def course() -> None:
        refusing = serving(FakeNode("r1", refuses=REFUSED))
        async with refusing as first, serving(FakeNode("r2")) as second:
            found = dialler(first, second)
            for _ in range(4):
                upstream, lease = await found.dial(WHO, "1.2")
                assert lease.node.name == "r2"
                upstream.close()
            assert first.logins
            assert all(state.available for state in found.balancer.states())
            assert connections(found) == {"r1": 0, "r2": 4}

    asyncio.run(course())


def test_a_node_that_hangs_is_passed_over_soon_and_not_chosen_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.live.relay.dialler.ACCEPT", 0.1)

    async def course() -> None:
        hung = serving(FakeNode("r1", deaf=True))
        async with hung as first, serving(FakeNode("r2")) as second:
            found = dialler(first, second)
            found.balancer.drain("r2")
            asyncio.get_running_loop().call_soon(found.balancer.resume, "r2")
            began = time.monotonic()
            upstream, lease = await found.dial(WHO, "1.2")
            assert lease.node.name == "r2"
            assert time.monotonic() - began < found.timeout
            upstream.close()
            lease.release()
            left, _ = found.balancer.states()
            assert left.suspect
            assert left.failures == 0
            _, lease = await found.dial(WHO, "1.2")
            assert lease.node.name == "r2"

    asyncio.run(course())


def test_a_slow_node_has_its_whole_time_when_there_is_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.live.relay.dialler.ACCEPT", 0.1)

    async def course() -> None:
        async with serving(FakeNode("r1", deaf=True)) as node:
            found = dialler(node)
            dialling = asyncio.create_task(found.dial(WHO, "1.2"))
            while not node.connections:  # noqa: ASYNC110 - the fake node has no event for it
                await asyncio.sleep(0.01)
            node.deaf = False
            upstream, _ = await dialling
            (state,) = found.balancer.states()
            assert (node.connections, state.failures, state.suspect) == (2, 0, False)
            upstream.close()

    asyncio.run(course())


def test_nobody_waits_for_ever_for_the_only_node_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.live.relay.dialler.ACCEPT", 0.1)

    async def course() -> None:
        async with serving(FakeNode("r1", deaf=True)) as node:
            found = replace(dialler(node), timeout=0.4)
            with pytest.raises(BrokerUnavailable):
                await asyncio.wait_for(found.dial(WHO, "1.2"), 5)
            (state,) = found.balancer.states()
            assert (node.connections, state.failures, state.connections) == (2, 1, 0)

    asyncio.run(course())


def test_when_all_refuse_the_client_is_told_without_the_brokers_words() -> None:
    async def course() -> None:
        async with serving(FakeNode("r1", refuses=REFUSED)) as node:
            found = dialler(node)
            with pytest.raises(BrokerUnavailable) as error:
                await found.dial(WHO, "1.2")
            assert REFUSED not in error.value.detail
            assert connections(found) == {"r1": 0}

    asyncio.run(course())


def test_when_many_come_at_once_so_many_are_opened_at_a_time_and_all_have_their_turn() -> None:
    async def course() -> None:
        async with serving(FakeNode("r1")) as node:
            found = dialler(node)
            count = 2 * LEAST
            for upstream, lease in await asyncio.gather(
                *(found.dial(WHO, "1.2") for _ in range(count))
            ):
                upstream.close()
                lease.release()
            assert 1 < node.most_opening <= LEAST
            assert node.logins == count

    asyncio.run(course())


def own_login(vhost: str = "/") -> Identity:
    login = BrokerLogin("app", "open-sesame", vhost=vhost, mark=b"", payer="app 1")
    return Identity("app", frozenset(), 2e9, login=login, vhost=None if vhost == "/" else vhost)


def test_rabbitmqs_own_user_logs_in_with_the_login_of_its_own() -> None:
    async def course() -> None:
        async with serving(FakeNode("r1")) as node:
            for who, vhost in ((own_login(), "/"), (own_login("billing"), "billing")):
                upstream, lease = await dialler(node).dial(who, "1.2")
                given = node.received[-1]
                assert [given.get(name) for name in ("login", "passcode", "host")] == [
                    "app",
                    "open-sesame",
                    vhost,
                ]
                upstream.close()
                lease.release()

    asyncio.run(course())


def test_a_token_of_another_virtual_host_goes_there() -> None:
    async def course() -> None:
        async with serving(FakeNode("r1")) as node:
            upstream, lease = await dialler(node).dial(replace(WHO, vhost="billing"), "1.2")
            assert node.received[-1].get("host") == "billing"
            upstream.close()
            lease.release()

    asyncio.run(course())


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("Bad CONNECT\n\nAccess refused for user 'app'\n", WrongLogin),
        ("Bad CONNECT\n\nAccess refused for user 'app', backend x returned an error", WrongLogin),
        ("Bad CONNECT\n\nVirtual host '/' access denied", UnknownVirtualHost),
        ("Bad CONNECT\n\nthe limit of connections is reached", BrokerUnavailable),
    ],
)
def test_rabbitmqs_word_about_a_login_of_its_own_is_final(
    said: str, error: type[GatewayError]
) -> None:
    async def course() -> None:
        one, two = FakeNode("r1", refuses=said), FakeNode("r2", refuses=said)
        async with serving(one), serving(two):
            nodes = one, two
            found = dialler(*nodes)
            with pytest.raises(error) as refused:
                await found.dial(own_login(), "1.2")
            assert "backend" not in refused.value.detail
            asked = sum(len(node.received) for node in nodes)
            assert asked == (2 if error is BrokerUnavailable else 1)
            assert set(connections(found).values()) == {0}
            assert all(state.available for state in found.balancer.states())

    asyncio.run(course())
