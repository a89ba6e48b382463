"""A gateway's own state, as the dashboards get it."""

from random import Random

import pytest

from broker.nodes.balancer import Balancer
from broker.nodes.node import Node
from gateway.admin.history import Gauges, SampleHistory
from gateway.admin.overview import Overview
from gateway.observe.events import Events
from gateway.observe.histogram import Histogram


@pytest.mark.parametrize(
    ("nodes", "feeds", "told"),
    [
        (3, ["r3", "r1"], ["r3", "r1"]),
        (3, [None, "r1"], ["r1", None]),
        (3, [None, None], [None, None]),
        (1, ["r1", None], ["r1"]),
        (1, [None, None], [None]),
        (1, ["r1", "r2"], ["r1", "r2"]),
    ],
    ids=["both", "one", "none", "single node", "single node down", "a node was taken out"],
)
def test_a_feed_looks_for_a_node_only_where_there_is_one(
    nodes: int, feeds: list[str | None], told: list[str | None]
) -> None:
    listed = [Node(f"r{n}", "ws://127.0.0.1/ws", "amqp://127.0.0.1") for n in range(1, nodes + 1)]
    balancer = Balancer(listed, clock=lambda: 0.0, rng=Random(1))  # noqa: S311 - guards nothing
    gauges = Gauges(
        connections=int,
        deliveries=int,
        posts=int,
        outbox=int,
        logins=int,
        failed_logins=int,
        latency=Histogram(),
    )
    history = SampleHistory(gauges, clock=lambda: 0.0)
    overview = Overview(
        gateway="here",
        started_at=0.0,
        history=history,
        events=Events(clock=lambda: 0.0),
        draining=bool,
        topics=int,
        nodes=balancer.states,
        feeds=lambda: feeds,
        problems=list,
    )
    assert overview.state(history.take())["feeds"] == told
