"""Web-STOMP connections and probes against real nodes, healthy, dead and hanging."""

from __future__ import annotations

import asyncio
import re
import time
from random import Random

import psutil
import pytest
import uvloop

from broker.dialling import DialTimeout, LoginRefused
from broker.health.prober import Prober
from broker.nodes.balancer import Balancer
from broker.nodes.credentials import Credentials
from broker.nodes.node import Health, Node, NodeState
from broker.protocol import stomp
from broker.protocol.websocket import Data, MessageReader
from broker.timing.tasks import Tasks
from broker.webstomp.session import dial, log_in
from devenv.cluster import Cluster

pytestmark = pytest.mark.cluster

#: Seconds for what is not away, on a busy machine.
_PATIENCE = 30.0


def dialled(node: Node) -> int:
    port = int(node.web_stomp.rsplit(":", 1)[1].removesuffix("/ws"))
    return sum(
        bool(c.raddr) and c.raddr.port == port for c in psutil.Process().net_connections("tcp")
    )


def test_a_session_carries_a_message_from_one_node_to_another(
    nodes: list[Node], credentials: Credentials, room: int
) -> None:
    destination = ("destination", f"/topic/acdm.mo.interact.public.{room}")

    async def run() -> None:
        reader, writer = [
            await log_in(await dial(node, timeout=_PATIENCE), credentials, timeout=_PATIENCE)
            for node in nodes[:2]
        ]
        receipt = ("receipt", "subscribed")
        await reader.send(stomp.serialise("SUBSCRIBE", [destination, ("id", "1"), receipt]))
        frames = MessageReader(65536, masked=False)
        parser = stomp.FrameParser(stomp.Limits(), stomp.SERVER_COMMANDS)
        received: list[stomp.Frame] = []
        frames.feed(reader.leftover)
        async with asyncio.timeout(_PATIENCE):
            while len(received) < 2:
                for event in frames.feed(await reader.stream.read_bytes(65536, partial=True)):
                    assert isinstance(event, Data)
                    received += [
                        f for f in parser.feed(event.payload) if isinstance(f, stomp.Frame)
                    ]
                if len(received) == 1:
                    await writer.send(stomp.serialise("SEND", [destination], b"hello"))
        assert [frame.command for frame in received] == ["RECEIPT", "MESSAGE"]
        assert received[1].body == b"hello"
        reader.close()
        writer.close()

    uvloop.run(run())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [("passcode", "Access refused for user"), ("vhost", "Virtual host 'wrong' access denied")],
)
def test_a_refused_login_is_told_and_its_socket_closed(
    nodes: list[Node], credentials: Credentials, wrong: str, message: str
) -> None:
    passcode = "wrong" if wrong == "passcode" else credentials.passcode
    vhost = "wrong" if wrong == "vhost" else "/"

    async def run() -> None:
        websocket = await dial(nodes[0], timeout=_PATIENCE)
        with pytest.raises(LoginRefused, match=message):
            await log_in(
                websocket, Credentials(credentials.login, passcode, vhost), timeout=_PATIENCE
            )
        assert dialled(nodes[0]) == 0

    uvloop.run(run())


def test_a_hanging_node_is_a_timeout_and_its_socket_is_closed(
    cluster: Cluster, nodes: list[Node], credentials: Credentials
) -> None:
    async def run() -> None:
        websocket = await dial(nodes[0], timeout=_PATIENCE)
        cluster.pause_node(1)
        try:
            with pytest.raises(DialTimeout, match="no CONNECTED"):
                await log_in(websocket, credentials, timeout=0.5)
            with pytest.raises(DialTimeout, match="no WebSocket"):
                await dial(nodes[0], timeout=0.5)
            assert dialled(nodes[0]) == 0
        finally:
            cluster.resume_node(1)

    uvloop.run(run())


async def until(balancer: Balancer, name: str, health: Health, *, within: float) -> NodeState:
    async with asyncio.timeout(within):
        while True:
            state = next(s for s in balancer.states() if s.node.name == name)
            if state.probe is not None and state.health is health:
                return state
            await asyncio.sleep(0.02)


def test_probes_take_a_dead_and_a_hanging_node_out_and_a_recovered_one_in(
    cluster: Cluster, nodes: list[Node], credentials: Credentials
) -> None:
    async def run() -> None:
        rng = Random(1)  # noqa: S311 - spreads load, guards nothing
        balancer = Balancer(nodes, clock=time.monotonic, rng=rng)
        prober = Prober(
            nodes,
            balancer,
            credentials,
            interval=0.2,
            timeout=1,
            clock=time.monotonic,
            tasks=Tasks(),
        )
        prober.start()
        try:
            for node in nodes:
                state = await until(balancer, node.name, Health.HEALTHY, within=_PATIENCE)
                assert state.probe is not None
                assert state.probe.latency is not None
                assert 0 < state.probe.latency < 2

            cluster.pause_node(1)
            hanging = await until(balancer, "r1@localhost", Health.OUT, within=_PATIENCE)
            assert hanging.why_out in ("no WebSocket within 1 s", "no CONNECTED within 1 s")
            cluster.resume_node(1)
            await until(balancer, "r1@localhost", Health.HEALTHY, within=_PATIENCE)

            await asyncio.to_thread(cluster.kill_node, 2)
            dead = await until(balancer, "r2@localhost", Health.OUT, within=_PATIENCE)
            assert re.search("refused|reset|closed", dead.why_out or "")
            assert {balancer.acquire().node.name for _ in range(4)} <= {
                "r1@localhost",
                "r3@localhost",
            }
            await asyncio.to_thread(cluster.start_node, 2)
            await until(balancer, "r2@localhost", Health.HEALTHY, within=_PATIENCE)
        finally:
            await prober.close()
        assert [dialled(node) for node in nodes] == [0, 0, 0]

    uvloop.run(run())


def test_probes_with_a_wrong_password_say_so(nodes: list[Node]) -> None:
    async def run() -> None:
        rng = Random(1)  # noqa: S311 - spreads load, guards nothing
        balancer = Balancer(nodes, clock=time.monotonic, rng=rng)
        wrong = Credentials("gateway", "wrong-and-secret")
        prober = Prober(
            nodes,
            balancer,
            wrong,
            interval=60,
            timeout=_PATIENCE,
            clock=time.monotonic,
            tasks=Tasks(),
        )
        probe = await prober.probe(nodes[0])
        assert probe.error is not None
        assert "Access refused for user 'gateway'" in probe.error
        assert "wrong-and-secret" not in probe.error

    uvloop.run(run())
