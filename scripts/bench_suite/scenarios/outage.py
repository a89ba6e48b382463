"""A node is lost, in one of three ways: for how long does nothing arrive?

Each round breaks the node of a host's relay. In every second round it is also the node of the
private queue's leader, if that can be had.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from urllib.parse import quote

from bench_suite.gateways import HOST, TOPOLOGY, Gateway
from bench_suite.outage_clients import Posts, SteadyPoster, Witness, longest_silence
from bench_suite.result import Figure
from bench_suite.run import Run
from bench_suite.subscriber import Client
from broker.topology import Audience, Stream
from devenv.cluster import Cluster
from devenv.errors import SetupError

FIGURES = (
    Figure("queue", "private queue s", "less", 2),
    Figure("queue_worst", "worst", digits=2),
    Figure("topic", "topic s", "less", 2),
    Figure("topic_worst", "worst", digits=2),
    Figure("instant", "instant s", "less", 2),
    Figure("instant_worst", "worst", digits=2),
    Figure("post_worst", "slowest POST s", digits=2),
    Figure("refused", "refused"),
)
ROUNDS = 6
#: Seconds: of calm before the node is lost; how long it is posted on; for everything to arrive
#: then, which is longer than RabbitMQ 4.3 by default waits for a consumer whose node is away.
_CALM = 2.0
_LOOK = 15.0
_ARRIVAL = 100.0
_INTERVAL = 0.1
#: Seconds for the cluster to be whole again by itself.
_REJOIN = 60.0
#: How often a relay is opened anew because it is on the wrong node, and the seconds in which
#: RabbitMQ's statistics show it.
_ATTEMPTS = 8
_SHOWN = 20.0


def measure_kill(run: Run) -> None:
    """SIGKILL: its sockets are reset."""
    _measure(run, run.lab.cluster.kill_node)


def measure_stop(run: Run) -> None:
    """An orderly stop."""
    _measure(run, run.lab.cluster.stop_node)


def measure_hang(run: Run) -> None:
    """SIGSTOP: its sockets stay open, and nothing comes."""
    _measure(run, run.lab.cluster.pause_node)


@dataclass(frozen=True)
class _Round:
    """The longest silences of one round, in seconds."""

    queue: float
    topic: float
    instant: float
    posts: Posts
    faults: list[str]


def _measure(run: Run, lose: Callable[[int], None]) -> None:
    if run.gateway is None:
        raise SetupError("only a gateway goes on at another node")
    rounds: list[_Round] = []
    try:
        for number in range(1 if run.scale.quick else ROUNDS):
            found = asyncio.run(_round(run, run.gateway, lose, with_leader=number % 2 == 1))
            run.progress(
                f"nothing came for: private queue {found.queue:.2f} s, topic {found.topic:.2f} s, "
                f"instant {found.instant:.2f} s; slowest POST {found.posts.slowest:.2f} s"
            )
            rounds.append(found)
    finally:
        run.lab.cluster.mend()
    values = run.row.values
    for name in ("queue", "topic", "instant"):
        silences = [getattr(each, name) for each in rounds]
        values[name], values[f"{name}_worst"] = median(silences), max(silences)
    values["post_worst"] = max(each.posts.slowest for each in rounds)
    values["refused"] = sum(len(each.posts.refused) for each in rounds)
    run.row.told += [fault for each in rounds for fault in each.faults]
    run.row.faults += len(run.row.told)


async def _round(
    run: Run, gateway: Gateway, lose: Callable[[int], None], *, with_leader: bool
) -> _Round:
    cluster = run.lab.cluster
    room = gateway.room([])
    (anybody,) = run.door.clients(1)
    host = replace(anybody, login=HOST, passcode=gateway.token(HOST, "host"))
    topic = await _subscribed(replace(host, subscribe=f"/topic/{_name(Audience.PUBLIC, room)}"))
    queue, node = await _on_the_wanted_node(cluster, room, host, with_leader=with_leader)
    poster = SteadyPoster(gateway.port, f"/api/rooms/{room}/messages", gateway.headers(HOST))
    posting = asyncio.create_task(poster.run())
    await asyncio.sleep(_CALM)
    run.progress(f"node {node} is lost")
    lost_at = time.monotonic()
    await asyncio.to_thread(lose, node)
    await asyncio.sleep(lost_at + _LOOK - time.monotonic())
    poster.stop()
    await posting
    wanted = poster.posts.guaranteed.keys()
    await _until(lambda: wanted <= queue.arrived.keys() & topic.arrived.keys())
    faults = [
        f"{witness.client.subscribe}: {len(missing)} messages did not arrive {witness.lost}"
        for witness in (queue, topic)
        if (missing := wanted - witness.arrived.keys()) or witness.lost
    ]
    for witness in (queue, topic):
        witness.close()
    await asyncio.to_thread(_mend, cluster, node)
    return _Round(
        queue=longest_silence(queue.arrived, wanted, since=lost_at),
        topic=longest_silence(topic.arrived, wanted, since=lost_at),
        instant=longest_silence(topic.arrived, poster.posts.instant, since=lost_at),
        posts=poster.posts,
        faults=faults,
    )


def _name(audience: Audience, room: int) -> str:
    return TOPOLOGY.routing_key(Stream(audience, room))


async def _subscribed(client: Client) -> Witness:
    _, witness = await asyncio.get_running_loop().create_connection(
        lambda: Witness(client), client.host, client.port
    )
    await witness.ready
    return witness


async def _on_the_wanted_node(
    cluster: Cluster, room: int, host: Client, *, with_leader: bool
) -> tuple[Witness, int]:
    """A consumer of the private queue, and the number of its relay's node."""
    name = _name(Audience.PRIVATE, room)
    consumer = replace(host, subscribe=f"/queue/{name}", acknowledge=True)
    attempts = 0
    while True:
        attempts += 1
        witness = await _subscribed(consumer)
        (node,) = await asyncio.to_thread(_relays, cluster, 1)
        if attempts == _ATTEMPTS or (node == _leader(cluster, name)) is with_leader:
            return witness, next(each.number for each in cluster.nodes if each.name == node)
        witness.close()
        await asyncio.to_thread(_relays, cluster, 0)


def _relays(cluster: Cluster, count: int) -> list[str]:
    """The nodes of the host's relays, once RabbitMQ's statistics show so many."""
    deadline = time.monotonic() + _SHOWN
    path = "/api/connections?columns=user,node"
    while True:
        found = cluster.nodes[0].management("GET", path, cluster.admin) or []
        nodes = [each["node"] for each in found if each.get("user") == HOST]
        if len(nodes) == count:
            return nodes
        if time.monotonic() > deadline:
            raise SetupError(f"RabbitMQ shows {len(nodes)} relays of the host instead of {count}")
        time.sleep(0.2)


def _leader(cluster: Cluster, queue: str) -> str:
    path = f"/api/queues/%2F/{quote(queue, safe='')}"
    found = cluster.nodes[0].management("GET", path, cluster.admin) or {}
    return str(found.get("leader"))


async def _until(done: Callable[[], bool]) -> None:
    """Wait for a condition, but not for ever: the caller looks again."""
    for _ in range(int(_ARRIVAL / _INTERVAL)):
        if done():
            return
        await asyncio.sleep(_INTERVAL)


def _mend(cluster: Cluster, node: int) -> None:
    """Make the cluster whole again, with the node."""
    if node in cluster.running():
        cluster.resume_node(node)
        deadline = time.monotonic() + _REJOIN
        while time.monotonic() < deadline:
            if cluster.ready():
                return
            time.sleep(0.5)
        # RabbitMQ 3.10 may stay partitioned, and then wants what an operator would do.
        cluster.kill_node(node)
    cluster.start()
