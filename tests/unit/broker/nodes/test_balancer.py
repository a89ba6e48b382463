"""Leases and the choice of a node."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from broker.nodes.balancer import Balancer, Lease, NoNodeAvailable, UnknownNode
from broker.nodes.node import DIAL_BACK_OFF, Health, Node, NodeState, Probe
from broker.nodes.rendezvous import LinkState
from tests.fake_clock import FakeClock


def nodes(*names: str, max_connections: int = 100) -> list[Node]:
    return [Node(n, f"ws://{n}/ws", f"amqp://{n}", max_connections) for n in names]


def balancer(
    *names: str, clock: FakeClock | None = None, max_connections: int = 100, seed: int = 1
) -> Balancer:
    rng = Random(seed)  # noqa: S311 - spreads load, guards nothing
    return Balancer(
        nodes(*names, max_connections=max_connections), clock=clock or FakeClock(1000.0), rng=rng
    )


def state(of: Balancer, name: str) -> NodeState:
    return next(s for s in of.states() if s.node.name == name)


def connections(of: Balancer) -> dict[str, int]:
    return {s.node.name: s.connections for s in of.states()}


def test_connections_spread_evenly() -> None:
    balanced = balancer("r1", "r2", "r3")
    for _ in range(30):
        balanced.acquire()
    assert connections(balanced) == {"r1": 10, "r2": 10, "r3": 10}


def test_equally_loaded_nodes_are_chosen_by_the_rng() -> None:
    first = {balancer("r1", "r2", "r3", seed=s).acquire().node.name for s in range(30)}
    assert first == {"r1", "r2", "r3"}


def test_a_node_that_lost_its_connections_gets_the_next_ones() -> None:
    balanced = balancer("r1", "r2")
    leases = [balanced.acquire() for _ in range(10)]
    for lease in leases:
        if lease.node.name == "r1":
            lease.release()
    assert [balanced.acquire().node.name for _ in range(5)] == ["r1"] * 5


def test_a_node_whose_session_fell_silent_is_taken_only_if_there_is_no_other() -> None:
    balanced = balancer("r1", "r2")
    hung = balanced.acquire({"r2"})
    hung.up()
    hung.silent()
    hung.release()
    assert [balanced.acquire().node.name for _ in range(3)] == ["r2"] * 3
    assert balanced.acquire({"r2"}).node.name == "r1"


@pytest.mark.parametrize("sign", ["probe", "session"])
def test_a_node_is_suspect_until_it_has_shown_that_it_works(sign: str) -> None:
    balanced = balancer("r1", "r2")
    hung = balanced.acquire({"r2"})
    hung.up()
    hung.silent()
    hung.release()
    assert state(balanced, "r1").suspect
    balanced.acquire({"r1"})
    assert balanced.acquire({"r1"}).node.name == "r2"
    if sign == "probe":
        balanced.report("r1", Probe(1000.0, latency=0.1))
    else:
        balanced.acquire({"r2"}).up()
    assert not state(balanced, "r1").suspect
    assert balanced.acquire().node.name == "r1"


def test_a_failed_probe_does_not_end_the_suspicion() -> None:
    balanced = balancer("r1", "r2")
    hung = balanced.acquire({"r2"})
    hung.up()
    hung.silent()
    balanced.report("r1", Probe(1000.0, error="timeout"))
    assert state(balanced, "r1").suspect


def test_a_dial_without_an_answer_makes_a_node_suspect_and_is_no_failure() -> None:
    balanced = balancer("r1", "r2")
    lease = balanced.acquire({"r2"})
    lease.silent()
    lease.release()
    assert state(balanced, "r1").suspect
    assert state(balanced, "r1").health is Health.HEALTHY


def test_a_lease_that_was_given_back_says_nothing_about_its_node() -> None:
    balanced = balancer("r1", "r2")
    lease = balanced.acquire({"r2"})
    lease.up()
    lease.release()
    lease.silent()
    assert not state(balanced, "r1").suspect


def test_excluded_nodes_are_not_tried_again() -> None:
    balanced = balancer("r1", "r2")
    assert {balanced.acquire(frozenset({"r1"})).node.name for _ in range(5)} == {"r2"}
    with pytest.raises(NoNodeAvailable, match="r1: tried already; r2: tried already"):
        balanced.acquire({"r1", "r2"})


def test_when_nothing_is_available_the_error_says_why_for_each_node() -> None:
    balanced = balancer("r1", "r2", "r3", max_connections=1)
    by_name = {lease.node.name: lease for lease in [balanced.acquire() for _ in range(3)]}
    by_name["r1"].failed("connection refused")
    balanced.drain("r2")
    with pytest.raises(NoNodeAvailable) as caught:
        balanced.acquire()
    assert caught.value.reasons == {
        "r1": "out: connection refused",
        "r2": "draining",
        "r3": "full: 1 connections",
    }


def test_full_is_only_what_would_take_a_connection_if_it_had_a_place() -> None:
    def full(of: Balancer) -> bool:
        with pytest.raises(NoNodeAvailable) as caught:
            of.acquire()
        return caught.value.full

    of = balancer("r1", "r2", max_connections=1)
    leases = {lease.node.name: lease for lease in (of.acquire(), of.acquire())}
    assert full(of)
    of.report("r1", Probe(began=2000.0, error="no answer"))
    assert full(of), "r2 still is"
    of.report("r2", Probe(began=2000.0, error="no answer"))
    assert not full(of), "what is out has no place to give"
    for lease in leases.values():
        lease.release()
    of.report("r2", Probe(began=2000.0, latency=0.1))
    of.drain("r2")
    assert not full(of), "it drains, and is empty"


def test_that_all_nodes_are_excluded_is_nothing_wrong_with_any() -> None:
    of = balancer("r1", "r2")
    with pytest.raises(NoNodeAvailable) as caught:
        of.acquire({"r1", "r2"})
    assert caught.value.only_excluded
    of.drain("r2")
    with pytest.raises(NoNodeAvailable) as caught:
        of.acquire({"r1"})
    assert not caught.value.only_excluded


def test_a_released_place_is_given_back_once() -> None:
    balanced = balancer("r1")
    other = balanced.acquire()
    lease = balanced.acquire()
    lease.release()
    lease.release()
    lease.failed("too late")
    lease.up()
    assert connections(balanced) == {"r1": 1}
    assert state(balanced, "r1").health is Health.HEALTHY
    other.release()
    assert connections(balanced) == {"r1": 0}


def test_a_lease_is_released_at_the_end_of_its_block_also_by_an_exception() -> None:
    balanced = balancer("r1")
    with pytest.raises(ZeroDivisionError), balanced.acquire():
        raise ZeroDivisionError
    assert connections(balanced) == {"r1": 0}


def test_a_failed_dial_puts_the_node_out_and_gives_the_place_back() -> None:
    balanced = balancer("r1", "r2")
    lease = balanced.acquire(frozenset({"r2"}))
    lease.failed("connection refused")
    assert connections(balanced) == {"r1": 0, "r2": 0}
    assert {balanced.acquire().node.name for _ in range(5)} == {"r2"}


def test_the_end_of_a_session_that_was_up_is_no_failure() -> None:
    balanced = balancer("r1")
    lease = balanced.acquire()
    lease.up()
    lease.failed("closed 1006")
    assert connections(balanced) == {"r1": 0}
    assert state(balanced, "r1").health is Health.HEALTHY


def test_after_the_back_off_one_connection_at_a_time_is_let_through() -> None:
    clock = FakeClock(1000.0)
    balanced = balancer("r1", clock=clock)
    balanced.acquire().failed("refused")
    with pytest.raises(NoNodeAvailable):
        balanced.acquire()
    clock.now += DIAL_BACK_OFF.first
    trial = balanced.acquire()
    with pytest.raises(NoNodeAvailable, match="on trial"):
        balanced.acquire()
    trial.release()
    second = balanced.acquire()
    second.up()
    assert state(balanced, "r1").health is Health.HEALTHY
    balanced.acquire()
    assert connections(balanced) == {"r1": 2}


def test_the_states_tell_of_a_back_off_that_is_over() -> None:
    clock = FakeClock(1000.0)
    balanced = balancer("r1", clock=clock)
    balanced.acquire().failed("refused")
    assert state(balanced, "r1").health is Health.OUT
    clock.now += DIAL_BACK_OFF.first
    assert state(balanced, "r1").health is Health.TRIAL


def test_a_lease_that_was_on_trial_once_ends_no_other_one_s_trial() -> None:
    clock = FakeClock(1000.0)
    balanced = balancer("r1", clock=clock)
    balanced.acquire().failed("refused")
    clock.now += DIAL_BACK_OFF.first
    with balanced.acquire() as first:
        assert state(balanced, "r1").on_trial
        first.up()
        assert not state(balanced, "r1").on_trial
        clock.now += 1
        balanced.acquire().failed("refused")
        clock.now += DIAL_BACK_OFF.first
        second = balanced.acquire()
    assert state(balanced, "r1").on_trial
    second.release()
    assert not state(balanced, "r1").on_trial


def test_a_failed_trial_leaves_the_node_out_for_longer() -> None:
    clock = FakeClock(1000.0)
    balanced = balancer("r1", clock=clock)
    balanced.acquire().failed("refused")
    clock.now += DIAL_BACK_OFF.first
    balanced.acquire().failed("refused again")
    after = state(balanced, "r1")
    assert (after.health, after.failures, after.on_trial) == (Health.OUT, 2, False)
    assert after.out_until == clock.now + 2 * DIAL_BACK_OFF.first


def test_a_lease_knows_whether_its_node_still_takes_logins() -> None:
    clock = FakeClock(1000.0)
    balanced = balancer("r1", "r2", clock=clock)
    lease = balanced.acquire(frozenset({"r2"}))
    lease.up()
    assert lease.answers
    clock.now += 1
    balanced.report("r1", Probe(began=clock.now, error="no CONNECTED within 5 s"))
    assert not lease.answers
    balanced.report("r1", Probe(began=clock.now, latency=0.1))
    assert lease.answers


def test_a_probe_puts_a_node_out_and_in_again() -> None:
    clock = FakeClock(1000.0)
    balanced = balancer("r1", "r2", clock=clock)
    balanced.report("r1", Probe(began=clock.now, error="no answer within 2 s"))
    assert {balanced.acquire().node.name for _ in range(4)} == {"r2"}
    clock.now += 2
    balanced.report("r1", Probe(began=clock.now, latency=0.01))
    assert balanced.acquire().node.name == "r1"
    assert state(balanced, "r1").probe == Probe(began=clock.now, latency=0.01)


def test_a_draining_node_keeps_what_it_has_and_gets_nothing_new() -> None:
    balanced = balancer("r1", "r2")
    held = [balanced.acquire() for _ in range(4)]
    balanced.drain("r1")
    assert {balanced.acquire().node.name for _ in range(4)} == {"r2"}
    assert connections(balanced)["r1"] == 2
    balanced.resume("r1")
    assert balanced.acquire().node.name == "r1"
    assert len(held) == 4


def test_a_partitioned_node_is_left_until_it_has_found_the_others() -> None:
    of = balancer("r1", "r2")
    leases = {lease.node.name: lease for lease in (of.acquire(), of.acquire())}
    of.mark_partitioned({"r1", "unknown"})
    assert {name: lease.leaving for name, lease in leases.items()} == {"r1": True, "r2": False}
    assert {of.acquire().node.name for _ in range(4)} == {"r2"}
    assert of.is_to_be_left("r1")
    assert not of.is_to_be_left("unknown")
    of.drain("r1")
    of.drain("r2")
    assert [of.best_link(name) for name in ("r1", "r2", "unknown")] == [
        LinkState.PARTITIONED,
        LinkState.DRAINING,
        LinkState.UP,
    ]
    of.resume("r1")
    of.resume("r2")
    of.mark_partitioned(())
    assert not leases["r1"].leaving
    assert of.acquire().node.name == "r1"


def test_a_replaced_list_keeps_what_stays_adds_what_is_new_and_leaves_what_is_gone() -> None:
    of = balancer("r1", "r2")
    leases = {lease.node.name: lease for lease in (of.acquire(), of.acquire())}
    of.drain("r2")
    of.replace(nodes("r2", "r3"))
    assert connections(of) == {"r2": 1, "r3": 0}
    assert of.is_to_be_left("r2")
    assert not of.is_to_be_left("r1")
    assert {name: lease.leaving for name, lease in leases.items()} == {"r1": True, "r2": True}
    of.resume("r2")
    assert not leases["r2"].leaving
    leases["r1"].release()
    leases["r2"].release()
    assert connections(of) == {"r2": 0, "r3": 0}


def test_a_node_that_moves_is_another_one_and_a_new_limit_makes_no_other_node() -> None:
    of = balancer("r1")
    lease = of.acquire()
    of.replace(nodes("r1", max_connections=1))
    assert not lease.leaving
    assert state(of, "r1").full
    of.replace([Node("r1", "ws://elsewhere/ws", "amqp://r1")])
    assert lease.leaving
    assert connections(of) == {"r1": 0}


def test_an_unknown_name_is_refused() -> None:
    balanced = balancer("r1")
    for act in (balanced.drain, balanced.resume):
        with pytest.raises(UnknownNode, match="r9"):
            act("r9")
    with pytest.raises(UnknownNode, match="r9"):
        balanced.report("r9", Probe(began=0.0))


def test_states_are_copies() -> None:
    balanced = balancer("r1")
    state(balanced, "r1").connections = 99
    assert connections(balanced) == {"r1": 0}


class Leases(RuleBasedStateMachine):
    """Any order of leases, failures, probes, drains and time, against plain bookkeeping."""

    leases: Bundle[Lease] = Bundle("leases")
    NAMES = ("r1", "r2", "r3")

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(1000.0)
        self.balancer = balancer(*self.NAMES, clock=self.clock, max_connections=3)
        self.held: list[Lease] = []

    @rule(target=leases, exclude=st.frozensets(st.sampled_from(NAMES)))
    def acquire(self, exclude: frozenset[str]) -> Lease | MultipleResults[Lease]:
        before = {s.node.name: s for s in self.balancer.states()}
        open_to_us = [s for n, s in before.items() if s.available and n not in exclude]
        if not open_to_us:
            with pytest.raises(NoNodeAvailable) as caught:
                self.balancer.acquire(exclude)
            assert set(caught.value.reasons) == set(self.NAMES)
            return multiple()
        lease = self.balancer.acquire(exclude)
        chosen = before[lease.node.name]
        assert chosen in open_to_us
        assert chosen.connections == min(s.connections for s in open_to_us)
        self.held.append(lease)
        return lease

    @rule(lease=leases)
    def up(self, lease: Lease) -> None:
        lease.up()

    @rule(lease=leases)
    def release(self, lease: Lease) -> None:
        lease.release()
        self.held = [other for other in self.held if other is not lease]

    @rule(lease=consumes(leases))
    def fail(self, lease: Lease) -> None:
        lease.failed("refused")
        self.held = [other for other in self.held if other is not lease]

    @rule(name=st.sampled_from(NAMES), error=st.none() | st.just("no answer"))
    def probe(self, name: str, error: str | None) -> None:
        self.balancer.report(name, Probe(began=self.clock.now, error=error))

    @rule(name=st.sampled_from(NAMES), draining=st.booleans())
    def drain(self, name: str, *, draining: bool) -> None:
        (self.balancer.drain if draining else self.balancer.resume)(name)

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def counts_are_the_leases_held(self) -> None:
        for name, count in connections(self.balancer).items():
            assert count == sum(lease.node.name == name for lease in self.held)
            assert 0 <= count <= 3

    @invariant()
    def an_out_node_has_a_reason_and_an_end(self) -> None:
        for s in self.balancer.states():
            assert (s.health is Health.OUT) == (s.out_until is not None)
            assert (s.health is Health.HEALTHY) == (s.why_out is None)
            assert not (s.on_trial and not any(x.node.name == s.node.name for x in self.held))


TestLeases = Leases.TestCase
