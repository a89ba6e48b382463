"""The links as others see them: which can be used, for how long all is sound, and what is wrong."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, cast

import pytest

from broker.nodes.credentials import Credentials
from broker.nodes.node import Node
from broker.nodes.rendezvous import LinkState
from broker.publishing.link import LinkFailed
from broker.publishing.links import LinkReport, Links
from broker.timing.tasks import Tasks
from tests.virtual_time import run

NODES = [Node(name, "ws://x/ws", f"amqp://{name}") for name in ("r1", "r2")]
KEY = "acdm.mo.interact.public.1"


class FakeLink:
    """A link that stands, with three publications on it."""

    unanswered = 3

    def __init__(self, state: LinkState = LinkState.UP) -> None:
        self.state = state

    @property
    def blocked(self) -> bool:
        return self.state is LinkState.BLOCKED


def links_to(*nodes: Node, best: dict[str, LinkState] | None = None) -> Links:
    return Links(
        nodes,
        Credentials("gateway", "secret", "/"),
        timeout=1.0,
        rng=Random(1),  # noqa: S311 - spreads the dials
        best=lambda name: (best or {}).get(name, LinkState.UP),
        ssl_context=None,
        tasks=Tasks(),
    )


def put(links: Links, **by_node: FakeLink | None) -> None:
    for name, link in by_node.items():
        links._supervisors[name].link = cast("Any", link)
    links._link_changed()


def test_only_a_link_that_stands_and_is_not_blocked_can_be_published_on() -> None:
    async def scenario() -> None:
        links = links_to(*NODES)
        assert links.standing == {}
        put(links, r1=FakeLink(), r2=FakeLink(LinkState.BLOCKED))
        assert [*links.standing] == ["r1"]

    run(scenario())


def test_a_cluster_has_been_reached_once_a_link_has_stood() -> None:
    async def scenario() -> None:
        links = links_to(*NODES)
        put(links)
        assert not links.have_stood
        put(links, r2=FakeLink())
        assert links.have_stood
        put(links, r2=None)
        assert links.have_stood

    run(scenario())


def test_all_is_sound_for_as_long_as_the_node_that_was_sound_last() -> None:
    async def scenario() -> None:
        links = links_to(*NODES)
        assert links.sound_for == 0.0
        now = asyncio.get_running_loop().time()
        links._supervisors["r1"].sound_since = now - 10
        assert links.sound_for == 0.0, "r2 does not answer"
        links._supervisors["r2"].sound_since = now - 4
        assert links.sound_for == pytest.approx(4.0)
        await asyncio.sleep(2)
        assert links.sound_for == pytest.approx(6.0)
        assert links_to().sound_for == 0.0

    run(scenario())


def test_each_link_is_reported_with_what_waits_on_it() -> None:
    async def scenario() -> None:
        links = links_to(*NODES, best={"r1": LinkState.DRAINING})
        put(links, r1=FakeLink())
        assert links.reports() == [
            LinkReport("r1", LinkState.DRAINING, 3, None),
            LinkReport("r2", LinkState.DOWN, 0, "not started"),
        ]

    run(scenario())


def test_a_node_that_is_avoided_is_no_better_than_its_link() -> None:
    async def scenario() -> None:
        best = {"r1": LinkState.DRAINING, "r2": LinkState.PARTITIONED}
        links = links_to(*NODES, best=best)
        put(links, r1=FakeLink(), r2=FakeLink(LinkState.BLOCKED))
        assert [each.state for each in links.reports()] == [
            LinkState.DRAINING,
            LinkState.BLOCKED,
        ]
        found = links.place(KEY)
        assert found is not None
        assert found.link is cast("Any", links._supervisors["r1"].link)

    run(scenario())


def test_nothing_can_be_published_while_no_link_works() -> None:
    async def scenario() -> None:
        links = links_to(*NODES)
        assert links.problem == "not connected: r1: not started; r2: not started"
        put(links, r1=FakeLink(LinkState.BLOCKED))
        assert links.problem == "r1: blocked by an alarm; r2: not started"
        put(links, r2=FakeLink())
        assert links.problem is None

    run(scenario())


def test_where_no_link_stands_there_is_no_place_and_none_is_dialled() -> None:
    async def scenario() -> None:
        links = links_to(*NODES)
        assert links.place(KEY) is None
        with pytest.raises(LinkFailed, match="no link stands"):
            await links.dial(KEY)

    run(scenario())


def test_amqps_needs_a_context_that_verifies() -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match="amqps:// needs an ssl_context"):
            links_to(Node("r1", "ws://x/ws", "amqps://r1"))

    run(scenario())


def test_a_node_that_stays_on_the_list_keeps_its_link(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        links = links_to(*NODES)
        left: list[str] = []

        async def leave(self: Any) -> None:
            left.append(self.node.name)

        monkeypatch.setattr("broker.publishing.supervisor.Supervisor.leave", leave)
        link: Any = FakeLink()
        put(links, r2=link)
        links.replace(NODES[1:])
        await asyncio.sleep(0.1)
        assert left == ["r1"]
        assert [*links.standing.values()] == [link]
        await links.close()

    run(scenario())


def test_closing_does_not_wait_for_a_link_that_is_being_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        links = links_to(*NODES)
        ended = asyncio.Event()

        async def leave(self: Any) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        monkeypatch.setattr("broker.publishing.supervisor.Supervisor.leave", leave)
        links.replace(NODES[1:])
        await asyncio.sleep(0.1)
        assert not ended.is_set()
        await links.close()
        assert ended.is_set()

    run(scenario())
