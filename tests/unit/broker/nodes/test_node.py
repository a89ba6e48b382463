"""A node's health: every state with every event, and the times between."""

import itertools

import pytest

from broker.nodes.node import (
    DIAL_BACK_OFF,
    PARTITIONED,
    PROBE_OUT,
    TRANSITIONS,
    Event,
    Health,
    Node,
    NodeState,
)
from broker.timing.backoff import BackOff

NODE = Node("r1", "ws://127.0.0.1:15674/ws", "amqp://127.0.0.1", max_connections=2)


def out_state(event: Event = Event.DIAL_FAILED) -> NodeState:
    state = NodeState(NODE)
    state.failed(event, 100.0, began=99.0, reason="connection refused")
    return state


def trial_state() -> NodeState:
    state = out_state()
    state.expire(100.0 + DIAL_BACK_OFF.first)
    return state


STATES = {
    Health.HEALTHY: lambda: NodeState(NODE),
    Health.OUT: out_state,
    Health.TRIAL: trial_state,
}


def apply(state: NodeState, event: Event, now: float) -> None:
    match event:
        case Event.SESSION_UP | Event.PROBE_PASSED:
            state.worked(event, now)
        case Event.DIAL_FAILED | Event.PROBE_FAILED:
            state.failed(event, now, began=now, reason="again")
        case Event.BACK_OFF_OVER:
            state.expire(now)


@pytest.mark.parametrize(("health", "event"), list(itertools.product(Health, Event)))
def test_every_event_in_every_state_does_what_the_table_says(health: Health, event: Event) -> None:
    state = STATES[health]()
    assert state.health is health
    apply(state, event, 200.0)
    assert state.health is TRANSITIONS.get((health, event), health)
    assert (state.out_until is not None) == (state.health is Health.OUT)
    assert (state.why_out is None) == (state.health is Health.HEALTHY)
    assert (state.failures == 0) == (state.health is Health.HEALTHY)


def test_a_node_that_keeps_failing_is_left_alone_longer_each_time_within_a_bound() -> None:
    state = NodeState(NODE)
    now, waits = 0.0, []
    for _ in range(8):
        state.failed(Event.DIAL_FAILED, now, began=now, reason="refused")
        assert state.out_until is not None
        waits.append(state.out_until - now)
        now = state.out_until
        state.expire(now)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]


def test_a_success_makes_the_next_back_off_short_again() -> None:
    state = trial_state()
    state.failed(Event.DIAL_FAILED, 110.0, began=110.0, reason="refused")
    state.worked(Event.PROBE_PASSED, 120.0)
    state.failed(Event.DIAL_FAILED, 130.0, began=130.0, reason="refused")
    assert state.out_until == 130.0 + DIAL_BACK_OFF.first


def test_a_failed_probe_keeps_the_node_out_until_the_next_probe() -> None:
    state = out_state(Event.PROBE_FAILED)
    assert state.out_until == 100.0 + PROBE_OUT
    state.failed(Event.PROBE_FAILED, 120.0, began=115.0, reason="still")
    assert (state.out_until, state.why_out) == (120.0 + PROBE_OUT, "still")


def test_hundreds_of_dials_that_one_crash_fails_are_one_failure() -> None:
    state = NodeState(NODE)
    for _ in range(300):
        state.failed(Event.DIAL_FAILED, 100.0, began=99.5, reason="reset")
    assert (state.failures, state.out_until) == (1, 100.0 + DIAL_BACK_OFF.first)


def test_a_dial_from_before_the_recovery_does_not_put_the_node_out_again() -> None:
    state = out_state()
    state.worked(Event.PROBE_PASSED, 101.0)
    state.failed(Event.DIAL_FAILED, 104.0, began=99.0, reason="timeout")
    assert state.health is Health.HEALTHY


def test_available_means_healthy_and_not_draining_and_not_full() -> None:
    state = NodeState(NODE)
    assert state.available
    state.draining = True
    assert state.unavailable_because == "draining"
    state.draining = False
    state.connections = NODE.max_connections
    assert state.unavailable_because == "full: 2 connections"
    assert out_state().unavailable_because == "out: connection refused"
    trial = trial_state()
    assert trial.available
    trial.on_trial = True
    assert trial.unavailable_because == "on trial: connection refused"


def test_a_back_off_of_very_many_failures_does_not_overflow() -> None:
    assert BackOff(first=0.5, longest=10.0).delay(100_000) == 10.0


def test_a_node_s_problem_is_that_it_is_apart_or_else_why_it_is_out() -> None:
    assert NodeState(NODE).problem is None
    out = out_state()
    assert out.problem == "connection refused"
    out.partitioned = True
    assert out.problem == PARTITIONED
    assert NodeState(NODE, draining=True).problem is None
