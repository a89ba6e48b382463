"""Several rounds of a measurement, and comparing runs."""

import pytest

from bench_suite import noise, report, rounds
from bench_suite.result import Row
from bench_suite.suite import SCENARIOS

FIGURES = {name: scenario.figures for name, scenario in SCENARIOS.items()}


def row(*rates: float, p99: float = 1.0, system: str = "shared") -> Row:
    return rounds.together(
        [Row("rooms", system, False, {"rate": rate, "p99": p99}) for rate in rates]
    )


def test_of_each_value_it_is_the_median_and_from_where_to_where_it_went() -> None:
    found = row(100, 300, 110)
    assert found.values == {"rate": 110, "p99": 1.0}
    assert found.spread == {"rate": (100, 300), "p99": (1.0, 1.0)}
    assert row(5).spread == {}


def test_a_round_that_failed_fails_the_row_and_its_values_do_not_count() -> None:
    bad = Row("rooms", "shared", False, {"rate": 1.0}, failure="it did not start")
    found = rounds.together([row(100), bad, row(120)])
    assert (found.values["rate"], found.failure) == (110, "round 2: it did not start")
    lossy = Row("rooms", "shared", False, {"rate": 1.0}, faults=2, told=["3 came after 1"])
    found = rounds.together([row(100), lossy])
    assert (found.faults, found.told, found.failed) == (2, ["3 came after 1"], True)


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        (
            (100, 110, 105),
            (90, 92, 91),
            ["rooms, shared: deliveries/s 105 → 91 (it varies by 10.0)"],
        ),
        # Within what it varied by then, or does now.
        ((100, 130, 110), (90, 92, 91), []),
        ((104, 106, 105), (80, 100, 90), []),
        # Better is no news.
        ((100, 101, 102), (200, 201, 202), []),
        # Nobody knows how much it varies.
        ((100,), (95, 95), []),
        ((100,), (85,), ["rooms, shared: deliveries/s 100 → 85 (it varies by 10.0)"]),
    ],
)
def test_worse_is_what_is_worse_by_more_than_it_varies(
    then: tuple[float, ...], now: tuple[float, ...], told: list[str]
) -> None:
    assert list(rounds.worse([row(*now)], [row(*then)], FIGURES)) == told


def test_less_may_be_better_and_other_systems_are_not_compared() -> None:
    then, now = row(1, 1, p99=3.0), row(1, 1, p99=4.0)
    assert list(rounds.worse([now], [then], FIGURES)) == [
        "rooms, shared: p99 ms 3.0 → 4.0 (it varies by 0.0)"
    ]
    assert list(rounds.worse([now], [row(1, 1, p99=3.0, system="nginx")], FIGURES)) == []


def test_the_table_says_by_how_much_a_figure_varied() -> None:
    text = report.table("rooms", [row(90, 110, 100)])
    assert "100 ±10 %" in text


def test_the_document_is_read_back() -> None:
    before = row(1, 2, 3)
    assert rounds.read({"rows": [before.as_json() | {"ratios": {}}]}) == [before]


def test_the_probe_gives_per_cent() -> None:
    assert noise.probe() >= 0
