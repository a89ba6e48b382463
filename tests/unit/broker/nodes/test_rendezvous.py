"""Which link takes a stream."""

from __future__ import annotations

from collections import Counter

import pytest

from broker.nodes import rendezvous
from broker.nodes.rendezvous import LinkState

KEYS = [f"acdm.mo.interact.public.{room}" for room in range(1, 601)]
UP, DRAINING, SUSPECT, PARTITIONED, BLOCKED, DOWN = LinkState
NODES = ("r1", "r2", "r3")


def place(key: str, states: dict[str, LinkState]) -> str | None:
    found = rendezvous.place(key, tuple(states), states.__getitem__)
    if found is None:
        return None
    name, state = found
    assert state is states[name]
    return name


def all_up(*names: str) -> dict[str, LinkState]:
    return dict.fromkeys(names, UP)


def test_streams_are_spread_evenly() -> None:
    counts = Counter(place(key, all_up(*NODES)) for key in KEYS)
    assert set(counts) == set(NODES)
    assert min(counts.values()) > len(KEYS) / 3 * 0.8


def test_a_stream_stays_where_it_is_whatever_the_order_of_the_nodes() -> None:
    backwards = all_up(*reversed(NODES))
    assert all(place(key, all_up(*NODES)) == place(key, backwards) for key in KEYS)


def test_when_a_node_goes_only_its_streams_move_and_both_others_take_them() -> None:
    before = {key: place(key, all_up(*NODES)) for key in KEYS}
    after = {key: place(key, {**all_up(*NODES), "r2": DOWN}) for key in KEYS}
    moved = {key for key in KEYS if before[key] != after[key]}
    assert moved == {key for key in KEYS if before[key] == "r2"}
    assert {after[key] for key in moved} == {"r1", "r3"}


@pytest.mark.parametrize(
    ("states", "taken"),
    [
        ((UP, DRAINING, SUSPECT), {"r1"}),
        ((DOWN, DRAINING, SUSPECT), {"r2"}),
        ((PARTITIONED, SUSPECT, DOWN), {"r2"}),
        ((PARTITIONED, BLOCKED, DOWN), {"r1"}),
        ((BLOCKED, SUSPECT, SUSPECT), {"r2", "r3"}),
        ((BLOCKED, DOWN, BLOCKED), {"r1", "r3"}),
        ((DOWN, DOWN, DOWN), {None}),
    ],
)
def test_the_links_that_serve_best_take_all(
    states: tuple[LinkState, ...], taken: set[str | None]
) -> None:
    now = dict(zip(NODES, states, strict=True))
    assert {place(key, now) for key in KEYS} == taken


def test_without_nodes_there_is_no_place() -> None:
    assert place("key", {}) is None


def test_a_stream_is_at_home_where_it_is_placed_while_every_link_is_up() -> None:
    for key in KEYS:
        assert rendezvous.home(key, NODES) == place(key, all_up(*NODES))


def test_no_other_link_is_considered_if_the_first_one_is_up() -> None:
    looked_at: list[str] = []

    def state(name: str) -> LinkState:
        looked_at.append(name)
        return UP

    assert rendezvous.place("key", NODES, state) == (looked_at[0], UP)
    assert len(looked_at) == 1


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (UP, DOWN, DOWN),
        (DOWN, UP, DOWN),
        (SUSPECT, DRAINING, SUSPECT),
        (PARTITIONED, BLOCKED, BLOCKED),
    ],
)
def test_of_two_states_the_worse_one_counts(
    one: LinkState, other: LinkState, both: LinkState
) -> None:
    assert rendezvous.worse(one, other) is both
