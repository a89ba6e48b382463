"""Several gateways shown and ordered about as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from broker.nodes.balancer import Balancer
from broker.nodes.node import PARTITIONED, Node, Probe
from broker.nodes.rendezvous import LinkState
from broker.publishing.links import LinkReport
from broker.timing.tasks import Tasks
from gateway.admin.connections import Connections, Query, Sort
from gateway.admin.dashboard import Dashboard
from gateway.admin.gateways import Gateways
from gateway.admin.history import Gauges, SampleHistory
from gateway.admin.node_watch import NodeWatch
from gateway.admin.orders import AdminAction, Order, Orders
from gateway.admin.overview import Overview
from gateway.budget.budgets import Budgets
from gateway.budget.table import DASHBOARDS
from gateway.cluster.bus import Bus
from gateway.config import Limits
from gateway.drain import Drain
from gateway.errors import NoCapacity, TooManyDashboards, UnknownGateway, UnknownNode
from gateway.limits import LiveLimits
from gateway.live.client.registry import Registry
from gateway.observe.events import Events, Kind
from gateway.observe.histogram import Histogram
from tests.budgets import budgets_of
from tests.integration.http.live_fake import FakeLive
from tests.unit.cluster.bus_network import Network
from tests.virtual_time import run


class Gateway:
    """All but the sockets."""

    def __init__(self, bus: Bus, *nodes: str) -> None:
        clock = asyncio.get_running_loop().time
        rng = Random(1)  # noqa: S311 - the same course every time
        self.name = bus.gateway
        self.events = Events(clock=clock)
        self.registry = Registry(budgets_of(), tasks=Tasks())
        self.balancer = Balancer(
            [Node(name, "ws://x/ws", "amqp://x") for name in nodes], clock=clock, rng=rng
        )
        self.links: list[LinkReport] = []
        self.learned = 0
        self.drain = Drain(lasts=0.0, rng=rng)
        self.history = history = SampleHistory(
            Gauges(
                connections=lambda: len(self.registry),
                deliveries=int,
                posts=int,
                outbox=int,
                logins=int,
                failed_logins=int,
                latency=Histogram(),
            ),
            clock=clock,
        )
        self.gateways = Gateways(
            bus,
            overview=Overview(
                gateway=bus.gateway,
                started_at=0.0,
                history=history,
                events=self.events,
                draining=lambda: self.drain.begun,
                topics=int,
                nodes=self.balancer.states,
                feeds=list,
                problems=list,
            ),
            connections=Connections(self.registry, gateway=bus.gateway, clock=clock),
            orders=Orders(
                connections=self.registry,
                learn=self._learn,
                nodes=self.balancer,
                drain=self.drain,
                events=self.events,
            ),
            events=self.events,
        )
        self.node_watch = NodeWatch(self.balancer.states, lambda: self.links, self.events)
        self.dashboard = Dashboard(
            self.gateways,
            history,
            self.node_watch,
            places=Budgets(LiveLimits(Limits()), clock=clock).cap(DASHBOARDS),
            clock=clock,
            tasks=Tasks(),
        )

    async def _learn(self) -> int:
        self.learned += 1
        return 0

    def serves(self, id: str, user: str) -> FakeLive:
        connection = FakeLive(rooms=set(), id=id, user=user)
        self.registry.serve(connection, address="", user=user)
        self.registry.admit(connection, user)
        return connection

    @property
    def drained(self) -> list[str]:
        return [state.node.name for state in self.balancer.states() if state.draining]

    @property
    def told(self) -> list[tuple[Kind, str]]:
        return [(event.kind, event.code) for event in self.events.after(0, limit=99)]


@asynccontextmanager
async def two(*nodes: str) -> AsyncIterator[tuple[Network, Gateway, Gateway]]:
    network = Network()
    async with network.joined("a", "b") as buses:
        first, second = (Gateway(bus, *(nodes or ("r1", "r2"))) for bus in buses)
        yield network, first, second
        for gateway in (first, second):
            await gateway.dashboard.close()
            for connection in gateway.registry:
                connection.end(None)
        await asyncio.sleep(0)


def order(action: AdminAction, target: str, gateway: str | None = None) -> Order:
    return Order(action=action, target=target, by="root", gateway=gateway)


def test_everyone_s_state_is_told_and_who_is_silent_is_named() -> None:
    async def scenario() -> None:
        async with two() as (network, a, b):
            b.serves("1", "paul")
            b.events.note(Kind.CLOSE, "left", "")
            states = await a.gateways.states(after={"b": 0}, past=True)
            assert states["own"] == "a"
            assert [state["gateway"] for state in states["gateways"]] == ["a", "b"]
            assert [event["code"] for event in states["gateways"][1]["events"]] == ["left"]
            assert states["missing"] == {}
            known = await a.gateways.states(after={"b": 1})
            assert known["gateways"][1]["events"] == []
            network.deaf.add("b")
            alone = await a.gateways.states(after={})
            assert [state["gateway"] for state in alone["gateways"]] == ["a"]
            assert list(alone["missing"]) == ["b"]

    run(scenario())


def test_pages_of_all_gateways_are_one() -> None:
    async def scenario() -> None:
        async with two() as (network, a, b):
            for number, user in enumerate("fbda"):
                a.serves(f"a{number}", user)
            for number, user in enumerate("ce"):
                b.serves(f"b{number}", user)
            query = Query(sort=Sort.USER, size=4)
            page, missing = await a.gateways.page(query)
            assert [row["user"] for row in page.rows] == ["a", "b", "c", "d"]
            assert (page.total, page.matching, page.more, missing) == (6, 6, 2, {})
            following = Query(sort=Sort.USER, size=4, after=query.key(page.rows[-1]))
            page, _ = await b.gateways.page(following)
            assert [row["user"] for row in page.rows] == ["e", "f"]
            network.deaf.add("b")
            page, missing = await a.gateways.page(query)
            assert (page.total, list(missing)) == (4, ["b"])

    run(scenario())


def test_a_user_is_disconnected_everywhere_and_a_connection_where_it_is() -> None:
    async def scenario() -> None:
        async with two() as (_, a, b):
            here, there = a.serves("1", "paul"), b.serves("2", "paul")
            mina = b.serves("3", "mina")
            done = await a.gateways.order(order(AdminAction.END_USER, "paul"))
            assert done.done == {"a": 1, "b": 1}
            assert (here.ended, there.ended, mina.ended) == ("kicked", "kicked", None)
            done = await a.gateways.order(order(AdminAction.END_CONNECTION, "3", "b"))
            assert (done.done, mina.ended) == ({"b": 1}, "kicked")
            assert (a.learned, b.learned) == (1, 1), "whose access has ended is read before"
            assert a.told == [(Kind.ACTION, "end_user"), (Kind.ACTION, "end_connection")]

    run(scenario())


def test_a_kick_does_not_wait_for_a_gateway_that_is_dead() -> None:
    async def scenario() -> None:
        async with two() as (network, a, _b):
            network.deaf.add("b")
            paul = a.serves("1", "paul")
            kick = asyncio.create_task(a.gateways.order(order(AdminAction.END_USER, "paul")))
            await asyncio.sleep(0.1)
            assert paul.ended == "kicked"
            assert list((await kick).missing) == ["b"]

    run(scenario())


def test_no_event_is_too_long_to_be_told_to_other_gateways() -> None:
    """Or whoever is refused often enough hides a gateway from the dashboard."""

    async def scenario() -> None:
        async with two() as (_, a, b):
            for _ in range(200):
                b.events.note(
                    Kind.CLOSE, "access_refused", "\U0001f600" * 300, user="\U0001f600" * 63
                )
            states = await a.gateways.states(after={}, past=True)
            assert states["missing"] == {}
            assert states["gateways"][1]["last_event"] == 200

    run(scenario())


def test_a_node_is_drained_and_resumed_on_all_gateways() -> None:
    async def scenario() -> None:
        async with two() as (network, a, b):
            done = await a.gateways.order(order(AdminAction.DRAIN_NODE, "r2"))
            assert done.done == {"a": 1, "b": 1}
            assert (a.drained, b.drained) == (["r2"], ["r2"])
            assert (Kind.NODE, "draining") in b.told
            network.deaf.add("b")
            done = await a.gateways.order(order(AdminAction.RESUME_NODE, "r2"))
            assert (done.done, list(done.missing)) == ({"a": 1}, ["b"])
            assert (a.drained, b.drained) == ([], ["r2"])

    run(scenario())


def test_a_gateway_that_comes_later_learns_what_is_drained() -> None:
    async def scenario() -> None:
        async with two() as (network, a, b):
            a.balancer.drain("r2")
            network.deaf.add("a")
            await b.gateways.learn_drained()
            network.deaf.clear()
            await b.gateways.learn_drained()
            assert b.drained == ["r2"], "also if the first question was lost"
            b.balancer.resume("r2")
            await b.gateways.learn_drained()
            assert b.drained == [], "once"

    run(scenario())


def test_a_gateway_is_drained_from_another_one() -> None:
    async def scenario() -> None:
        async with two() as (_, a, b):
            done = await a.gateways.order(order(AdminAction.DRAIN_GATEWAY, "b", "b"))
            assert (done.done, a.drain.begun, b.drain.begun) == ({"b": 1}, False, True)
            done = await a.gateways.order(order(AdminAction.DRAIN_GATEWAY, "a", "a"))
            assert (done.done, a.drain.begun) == ({"a": 1}, True)

    run(scenario())


def test_orders_for_unknown_nodes_and_gateways_are_refused() -> None:
    async def scenario() -> None:
        async with two() as (_, a, _b):
            with pytest.raises(UnknownNode):
                await a.gateways.order(order(AdminAction.DRAIN_NODE, "r9"))
            with pytest.raises(UnknownGateway):
                await a.gateways.order(order(AdminAction.DRAIN_GATEWAY, "c", "c"))
            assert a.told == []

    run(scenario())


def test_a_node_that_goes_out_and_comes_back_is_an_event_each() -> None:
    async def scenario() -> None:
        async with two("r1") as (_, a, _b):
            for probe in (Probe(0.0, error="refused"), Probe(0.0, error="refused")):
                a.balancer.report("r1", probe)
                a.node_watch.poll()
            a.balancer.report("r1", Probe(0.0, latency=0.01))
            a.node_watch.poll()
            told = [(e.code, e.detail, e.node) for e in a.events.after(0, limit=9)]
            assert told == [("out", "refused", "r1"), ("healthy", "it works again", "r1")]

    run(scenario())


def test_a_node_that_loses_the_others_is_out_though_it_is_healthy() -> None:
    async def scenario() -> None:
        async with two("r1", "r2") as (_, a, _b):
            for partitioned in (["r2"], ["r2"], []):
                a.balancer.mark_partitioned(partitioned)
                a.node_watch.poll()
            told = [(e.code, e.detail, e.node) for e in a.events.after(0, limit=9)]
            assert told == [("out", PARTITIONED, "r2"), ("healthy", "it works again", "r2")]

    run(scenario())


def test_a_link_that_is_lost_and_comes_back_is_an_event_each() -> None:
    async def scenario() -> None:
        async with two("r1") as (_, a, _b):
            for state, problem in (
                (LinkState.UP, None),
                (LinkState.BLOCKED, "blocked by an alarm"),
                (LinkState.DOWN, "refused"),
                (LinkState.DRAINING, None),
            ):
                a.links = [LinkReport("r1", state, 0, problem)]
                a.node_watch.poll()
            told = [(e.kind, e.code, e.detail, e.node) for e in a.events.after(0, limit=9)]
            assert told == [
                (Kind.FAILOVER, "publisher_lost", "blocked by an alarm", "r1"),
                (Kind.FAILOVER, "publisher_up", "", "r1"),
            ]

    run(scenario())


class Asked:
    """Counts what the dashboard asks the gateways for."""

    def __init__(self, gateways: Gateways, monkeypatch: pytest.MonkeyPatch) -> None:
        self.states = 0
        real = gateways.states

        async def counted(**asked: Any) -> Any:
            self.states += 1
            return await real(**asked)

        monkeypatch.setattr(gateways, "states", counted)


def test_one_ticker_serves_all_dashboards_and_rests_without_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        async with two() as (_, a, _b):
            asked = Asked(a.gateways, monkeypatch)
            a.dashboard.start()
            await asyncio.sleep(5.5)
            assert asked.states == 0
            viewers = [a.dashboard.watch(f"admin{n % 5}", expires_at=1e9) for n in range(20)]
            await asyncio.sleep(3)
            assert asked.states == 3
            for viewer in viewers:
                messages = aiter(viewer)
                assert (await anext(messages)).startswith(b'data: {"own":"a"')
                a.dashboard.leave(viewer)
            await asyncio.sleep(3)
            assert (asked.states, len(a.dashboard)) == (3, 0)

    run(scenario())


def test_a_dashboard_that_does_not_read_is_dropped_and_the_others_are_not() -> None:
    async def scenario() -> None:
        async with two() as (_, a, _b):
            a.dashboard.start()
            deaf, reading = (a.dashboard.watch("admin", expires_at=1e9) for _ in range(2))
            heard = 0
            async with asyncio.timeout(10.5):
                async for _message in reading:
                    heard += 1
                    if heard == 9:
                        break
            assert len(a.dashboard) == 1
            assert [message async for message in deaf] == []

    run(scenario())


def test_dashboards_are_bounded() -> None:
    async def scenario() -> None:
        async with two() as (_, a, _b):
            viewers = [a.dashboard.watch(f"admin{n % 5}", expires_at=1e9) for n in range(50)]
            with pytest.raises(NoCapacity):
                a.dashboard.watch("another", expires_at=1e9)
            a.dashboard.leave(viewers[0])
            a.dashboard.leave(viewers[0])
            a.dashboard.watch("another", expires_at=1e9)
            # One admin's share, whatever there is in all.
            with pytest.raises(TooManyDashboards):
                a.dashboard.watch("admin1", expires_at=1e9)

    run(scenario())


def test_the_first_message_is_made_once_for_all_dashboards_of_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        async with two() as (_, a, _b):
            asked = Asked(a.gateways, monkeypatch)
            a.dashboard.start()
            first = await asyncio.gather(*(a.dashboard.beginning() for _ in range(100)))
            assert await a.dashboard.beginning() is first[0]
            assert (asked.states, len(set(map(id, first)))) == (1, 1)
            # One that is made before the last tick would lack what that has told.
            await asyncio.sleep(1.5)
            assert await a.dashboard.beginning() is not first[0]
            assert asked.states == 2

    run(scenario())


def test_the_charts_have_hours_of_each_gateway_and_say_who_did_not_answer() -> None:
    async def scenario() -> None:
        async with two() as (_, first, second):
            for _ in range(3):
                await asyncio.sleep(60)
                for gateway in (first, second):
                    gateway.history.take()
            found, missing = await first.gateways.hours(1)
            assert list(found) == ["a", "b"]
            assert [len(samples) for samples in found.values()] == [2, 2]
            assert not missing

    run(scenario())
