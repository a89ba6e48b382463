"""Which nodes have lost the others, as the echoes tell."""

from collections.abc import Iterable, Mapping

import pytest

from broker.health.partition import MISSED, PartitionDetector

NODES = ("r1", "r2", "r3")
#: The echoes that each feed brings, where all is well.
WHOLE = {0: NODES, 1: NODES}


def go_on(
    detector: PartitionDetector,
    rounds: int,
    brings: Mapping[int, Iterable[str]] = WHOLE,
    through: Iterable[str] = NODES,
) -> None:
    for _ in range(rounds):
        number = detector.begin()
        detector.sent(through)
        for feed, nodes in brings.items():
            for node in nodes:
                detector.heard(feed, node, number)


def detector(*feeds: int) -> PartitionDetector:
    made = PartitionDetector()
    for feed in feeds:
        made.stands(feed)
    return made


def test_a_cluster_that_hears_itself_is_whole() -> None:
    of = detector(0, 1)
    go_on(of, 50)
    assert of.partitioned(3) == set()


@pytest.mark.parametrize(
    "brings",
    [
        # No feed stands on it; one does, which hears it and nothing else.
        {0: ("r1", "r3"), 1: ("r1", "r3")},
        {0: ("r1", "r3"), 1: ("r2",)},
    ],
)
def test_a_node_that_most_do_not_hear_is_partitioned(brings: Mapping[int, Iterable[str]]) -> None:
    of = detector(0, 1)
    go_on(of, 10)
    go_on(of, MISSED - 1, brings)
    assert of.partitioned(3) == set()
    go_on(of, 1, brings)
    assert of.partitioned(3) == {"r2"}


def test_one_that_is_heard_again_is_not_partitioned_any_more() -> None:
    of = detector(0, 1)
    go_on(of, 10, {0: ("r1", "r3")})
    assert of.partitioned(3) == {"r2"}
    go_on(of, 1)
    assert of.partitioned(3) == set()


def test_one_that_is_not_published_through_is_not_judged() -> None:
    of = detector(0, 1)
    go_on(of, 10, {0: ("r1", "r3")})
    go_on(of, 1, {0: ("r1", "r3")}, through=("r1", "r3"))
    assert of.partitioned(3) == set()
    # When it is back it has as long as any other.
    go_on(of, MISSED, {0: ("r1", "r3")})
    assert of.partitioned(3) == set()
    go_on(of, 1, {0: ("r1", "r3")})
    assert of.partitioned(3) == {"r2"}


def test_a_feed_that_has_just_come_judges_nobody() -> None:
    of = detector(0)
    go_on(of, 10)
    of.gone(0)
    of.stands(1)
    go_on(of, MISSED - 1, {1: ("r1", "r3")})
    assert of.partitioned(3) == set()


def test_a_node_is_heard_if_one_feed_brings_its_probe() -> None:
    of = detector(0, 1)
    go_on(of, 10, {0: ("r1", "r3"), 1: NODES})
    assert of.partitioned(3) == set()


@pytest.mark.parametrize(
    ("nodes", "brings"),
    [
        # Everything is late, every node is alone, and of two neither is a majority.
        (NODES, {0: ()}),
        (NODES, {0: ("r1",), 1: ("r2",)}),
        (("r1", "r2"), {0: ("r1",), 1: ("r2",)}),
        (("r1", "r2"), {0: ("r1",)}),
        (("r1", "r2", "r3", "r4"), {0: ("r1", "r2")}),
        (("r1",), {0: ()}),
    ],
)
def test_without_a_majority_nothing_is_known(
    nodes: tuple[str, ...], brings: Mapping[int, Iterable[str]]
) -> None:
    of = detector(0, 1)
    go_on(of, 20, brings, through=nodes)
    assert of.partitioned(len(nodes)) == set()


def test_without_a_feed_nothing_is_known() -> None:
    of = detector()
    go_on(of, 20)
    assert of.partitioned(3) == set()


def test_echoes_count_late_twice_and_out_of_order() -> None:
    of = detector(0)
    for _ in range(20):
        of.begin()
        of.sent(NODES)
    for node in NODES:
        for number in (19, 3, 19):
            of.heard(0, node, number)
    assert of.partitioned(3) == set()


def test_of_a_feed_that_is_gone_nothing_counts_and_nothing_is_kept() -> None:
    of = detector(0, 1)
    go_on(of, 10, {0: NODES, 1: ("r1", "r3")})
    assert of.partitioned(3) == set(), "one feed hears r2"
    of.gone(0)
    assert of.partitioned(3) == {"r2"}
    of.heard(0, "r2", 10)
    assert of.partitioned(3) == {"r2"}
    assert {feed for feed, _ in of._heard} == {1}


def test_only_the_echo_of_a_round_that_went_out_there_counts_by_a_feed_that_stands() -> None:
    of = detector(0)
    assert of.begin() == 1
    of.sent(NODES)
    for feed, node, number in ((1, "r1", 1), (0, "r9", 1), (0, "r1", 0), (0, "r1", 2)):
        of.heard(feed, node, number)
    assert of._heard == {}
    of.heard(0, "r1", 1)
    assert of._heard == {(0, "r1"): 1}
