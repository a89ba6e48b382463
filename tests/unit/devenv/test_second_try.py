"""Which failures may have been RabbitMQ's."""

import json
from pathlib import Path

import pytest

from devenv.second_try import MOST, candidates


def last_failed(root: Path, *names: str) -> Path:
    folder = root / ".pytest_cache/v/cache"
    folder.mkdir(parents=True)
    (folder / "lastfailed").write_text(json.dumps(dict.fromkeys(names, True)))
    return root


def test_a_few_acceptance_tests_are_tried_again(tmp_path: Path) -> None:
    names = ("tests/acceptance/live/test_hub.py::a", "tests/acceptance/broker/test_x.py::b[1]")
    assert candidates(last_failed(tmp_path, *names)) == list(names)


@pytest.mark.parametrize(
    "names",
    [
        ("tests/unit/test_x.py::a",),
        ("tests/acceptance/live/test_hub.py::a", "tests/integration/test_x.py::b"),
        tuple(f"tests/acceptance/live/test_hub.py::t{number}" for number in range(MOST + 1)),
        (),
    ],
)
def test_nothing_else_is(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert candidates(last_failed(tmp_path, *names)) == []


def test_without_a_session_there_is_nothing_to_try(tmp_path: Path) -> None:
    assert candidates(tmp_path) == []
