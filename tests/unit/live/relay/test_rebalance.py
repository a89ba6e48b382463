"""Which relays are moved and when, with a turned clock."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from broker.nodes.balancer import Balancer, Lease
from broker.nodes.node import Node
from broker.timing.tasks import Tasks
from gateway.errors import BrokerUnavailable
from gateway.live.relay.rebalance import GRACE, REST, Rebalancer
from tests.fake_clock import FakeClock
from tests.virtual_time import run


class FakeUplink:
    """A relay on the node of its lease."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.free = True
        self.ended: BrokerUnavailable | None = None

    @property
    def node(self) -> str:
        return self.lease.node.name

    @property
    def to_be_left(self) -> bool:
        return self.lease.leaving

    async def relocate(self, why: str) -> bool:
        raise AssertionError("the tests move it themselves")

    def give_up(self, error: BrokerUnavailable) -> None:
        self.ended = error


class Stage:
    """Nodes, and relays on them."""

    def __init__(self, *names: str) -> None:
        self.clock = FakeClock(1000.0)
        self.rng = Random(1)  # noqa: S311 - spreads load, guards nothing
        self.nodes = [Node(name, f"ws://{name}/ws", f"amqp://{name}") for name in names]
        self.balancer = Balancer(self.nodes, clock=self.clock, rng=self.rng)
        self.rebalancer = Rebalancer(self.balancer, clock=self.clock, rng=self.rng, tasks=Tasks())

    def relays(self, node: str, count: int) -> list[FakeUplink]:
        others = {each.name for each in self.nodes} - {node}
        uplinks = [FakeUplink(self.balancer.acquire(others)) for _ in range(count)]
        for uplink in uplinks:
            uplink.lease.up()
            self.rebalancer.add(uplink)
        return uplinks

    def move_all(self) -> list[tuple[str, str]]:
        """Move those whose turn it is; from where, and why."""
        moved = []
        for uplink, why in self.rebalancer.due():
            assert isinstance(uplink, FakeUplink)
            left = uplink.lease
            uplink.lease = self.balancer.acquire({left.node.name})
            left.release()
            moved.append((left.node.name, why))
        return moved

    def load(self) -> dict[str, int]:
        return {state.node.name: state.connections for state in self.balancer.states()}


def test_all_leave_a_draining_node_and_nobody_else_moves() -> None:
    stage = Stage("a", "b", "c")
    for name in ("a", "b", "c"):
        stage.relays(name, 10)
    stage.balancer.drain("b")
    assert stage.move_all() == [("b", "the node is to be left")] * 10
    assert stage.load() == {"a": 15, "b": 0, "c": 15}


def test_a_node_that_has_come_back_is_given_its_share() -> None:
    stage = Stage("a", "b", "c")
    stage.relays("a", 30)
    stage.relays("b", 30)
    moved = stage.move_all()
    assert {why for _, why in moved} == {"another node has room"}
    assert stage.load() == {"a": 25, "b": 25, "c": 10}
    assert stage.move_all() == []


@pytest.mark.parametrize(("a", "b"), [(10, 0), (40, 30), (7, 2), (0, 0)])
def test_a_slight_imbalance_is_left_alone(a: int, b: int) -> None:
    stage = Stage("a", "b")
    stage.relays("a", a)
    stage.relays("b", b)
    assert stage.move_all() == []


def test_a_node_that_is_out_draws_nobody() -> None:
    stage = Stage("a", "b")
    stage.relays("a", 30)
    stage.balancer.drain("b")
    assert stage.move_all() == []


def test_a_relay_whose_move_was_tried_is_left_alone_for_a_while() -> None:
    stage = Stage("a", "b")
    stage.relays("a", 1)
    stage.balancer.drain("a")
    assert len(list(stage.rebalancer.due())) == 1
    stage.clock.now += REST - 1
    assert list(stage.rebalancer.due()) == []
    stage.clock.now += 1
    assert len(list(stage.rebalancer.due())) == 1


def test_a_relay_that_is_not_free_waits_for_its_turn() -> None:
    stage = Stage("a", "b")
    (uplink,) = stage.relays("a", 1)
    stage.balancer.drain("a")
    uplink.free = False
    assert stage.move_all() == []
    uplink.free = True
    assert len(stage.move_all()) == 1


def test_a_client_that_goes_while_others_are_moved_is_forgotten() -> None:
    stage = Stage("a", "b")
    uplinks = stage.relays("a", 2)
    stage.balancer.drain("a")
    for uplink, _ in stage.rebalancer.due():
        for other in uplinks:
            if other is not uplink:
                stage.rebalancer.remove(other)
        break
    stage.clock.now += REST
    assert len(list(stage.rebalancer.due())) == 1


def test_a_relay_that_cannot_leave_a_removed_node_ends_at_the_deadline() -> None:
    stage = Stage("a", "b")
    (uplink,) = stage.relays("a", 1)
    uplink.free = False
    stage.balancer.replace(stage.nodes[1:])
    stage.rebalancer.end_overdue()
    stage.clock.now += GRACE - 1
    stage.rebalancer.end_overdue()
    assert uplink.ended is None
    stage.clock.now += 1
    stage.rebalancer.end_overdue()
    assert uplink.ended is not None


def test_a_relay_that_cannot_leave_a_draining_node_stays() -> None:
    stage = Stage("a", "b")
    (uplink,) = stage.relays("a", 1)
    uplink.free = False
    stage.balancer.drain("a")
    for _ in range(3):
        stage.rebalancer.end_overdue()
        stage.clock.now += GRACE
    assert uplink.ended is None


@pytest.mark.parametrize("fault", [KeyError, asyncio.CancelledError])
def test_one_whose_move_fails_keeps_no_other_from_moving(
    fault: type[BaseException], failures: list[str]
) -> None:
    stage = Stage("a", "b")
    uplinks = stage.relays("a", 10)
    moved: list[FakeUplink] = []

    def move(uplink: FakeUplink) -> Callable[[str], Coroutine[Any, Any, bool]]:
        async def relocate(why: str) -> bool:
            if uplink is uplinks[0]:
                raise fault
            moved.append(uplink)
            uplink.lease.release()
            return True

        return relocate

    async def scenario() -> None:
        for uplink in uplinks:
            uplink.relocate = move(uplink)  # type: ignore[method-assign,assignment]
        stage.balancer.drain("a")
        stage.rebalancer.start()
        await asyncio.sleep(30)
        assert len(set(map(id, moved))) == 9
        await stage.rebalancer.close()

    run(scenario())
    assert len(failures) == 1
    failures.clear()
