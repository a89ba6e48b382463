"""How cost grows: slopes, their table and picture, the simulated storms, a history."""

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench_suite.sizes import history
from bench_suite.sizes.picture import draw
from bench_suite.sizes.reconnects import Storm, simulate
from bench_suite.sizes.series import Growth, Series, table
from gateway.config import Limits
from gateway.http.streams import TURN_SECONDS

EACH, IN_ALL = Growth("each", "each, µs"), Growth("in_all", "in all, ms", most=1.0)


def series(each: float, in_all: float) -> Series:
    """Figures that grow by these powers of the size."""
    points: dict[int, Mapping[str, float]] = {
        size: {"each": 5.0 * size**each, "in_all": 0.3 * size**in_all} for size in (10, 100, 1000)
    }
    return Series("rooms", "rooms of 10", (EACH, IN_ALL), points)


def test_a_slope_is_the_exponent_and_one_above_what_is_meant_is_an_exception() -> None:
    found = series(0.1, 2.0)
    assert found.slope(EACH) == pytest.approx(0.1)
    assert found.slope(IN_ALL) == pytest.approx(2.0)
    assert not found.is_exception(EACH)
    assert found.is_exception(IN_ALL)
    shown = table(found)
    assert "| in all, ms | 30.0 | 3,000.0 | 300,000.0 | **2.00** (meant: 1) |" in shown
    assert "**0.10**" not in shown


def test_one_size_has_no_slope_and_a_failure_is_told() -> None:
    found = Series("rooms", "rooms of 10", (EACH,), {10: {"each": 1.0}}, {100: "LoadFailed: no"})
    assert found.slope(EACH) is None
    assert not found.is_exception(EACH)
    assert "100: LoadFailed: no" in table(found)
    assert draw([found]).count("<path") == 0


def test_the_picture_is_well_formed_and_has_a_line_for_each_figure() -> None:
    document = ElementTree.fromstring(draw([series(0.0, 1.0), series(0.5, 1.5)]))  # noqa: S314 - ours
    lines = [each for each in document.iter() if each.get("stroke-width") == "2"]
    assert len(lines) == 4


def test_everybody_comes_back_from_a_storm_within_the_time_that_the_work_takes() -> None:
    seen = simulate(Storm(people=6000, gateways=3, seconds=0.002))
    assert len(seen.back) == seen.share == 2000
    assert seen.back == sorted(seen.back)
    assert not seen.refusals
    work, last = 2000 * 0.002, seen.at(1.0)
    assert last is not None
    assert work <= last <= work + 2.5, "more than the work and the window of the first wait"


def test_who_would_wait_longer_than_for_a_turn_is_refused_and_comes_in_later() -> None:
    seen = simulate(Storm(people=1000, gateways=1, seconds=0.03))
    assert seen.refusals["no_capacity"] > 0
    assert seen.longest <= TURN_SECONDS + 1
    assert len(seen.back) == 1000


def test_more_than_a_gateway_serves_never_come_in() -> None:
    # The last tenth is for hosts.
    seen = simulate(Storm(people=200, gateways=1, seconds=0.001), limits=Limits(connections=200))
    assert len(seen.back) == 180
    assert seen.at(1.0) is None
    assert seen.refusals["no_capacity"] > 20


def test_a_history_is_measured_small(tmp_path: Path) -> None:
    said: list[str] = []
    found = history.measure(tmp_path, said.append, most=10_000)
    assert sorted(found.points) == [1_000, 10_000]
    for values in found.points.values():
        assert all(value > 0 for value in values.values()), values
    assert said
