"""Which failures may have been RabbitMQ's."""

from pathlib import Path

import pytest

from devenv.second_try import FEW, ONE_IN, candidates, failed, remember

_HUB = "tests/acceptance/live/test_hub.py"


@pytest.mark.parametrize(
    ("names", "again"),
    [
        ([f"{_HUB}::a", "tests/integration/process/test_x.py::b[1]"], [0, 1]),
        (["tests/unit/test_x.py::a"], []),
        (["tests/unit/test_x.py::a", f"{_HUB}::b", "tests/integration/test_x.py::c"], [1]),
        ([f"{_HUB}::t{number}" for number in range(FEW)], range(FEW)),
        ([f"{_HUB}::t{number}" for number in range(FEW + 1)], []),
        ([], []),
    ],
)
def test_a_few_that_work_with_processes_are_tried_again(names: list[str], again: list[int]) -> None:
    assert candidates(names, of=FEW * ONE_IN) == [names[number] for number in again]


def test_a_large_run_may_have_a_few_more() -> None:
    names = [f"{_HUB}::t{number}" for number in range(9)]

    assert candidates(names, of=9 * ONE_IN) == names
    assert candidates(names, of=9 * ONE_IN - 1) == []


def test_failures_of_several_sessions_are_kept_in_one_place(tmp_path: Path) -> None:
    remember(tmp_path / "cache", [f"{_HUB}::a", "tests/unit/test_x.py::b"])

    assert failed(tmp_path / "cache") == [f"{_HUB}::a", "tests/unit/test_x.py::b"]


def test_without_a_session_nothing_has_failed(tmp_path: Path) -> None:
    assert failed(tmp_path) == []
