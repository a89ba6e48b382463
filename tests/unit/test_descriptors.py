"""The number of files that the process may open, and those that are kept for other uses."""

import os
import resource
from typing import Any

import pytest

from gateway import config
from gateway.config import Config
from gateway.descriptors import Descriptors, lowest_free, needs


def configured(*, nodes: int = 1, **tables: Any) -> Config:
    return config.parse(
        {
            "broker": {
                "nodes": [
                    {"name": f"r{n}", "web_stomp": "ws://127.0.0.1:9/ws", "amqp": "amqp://x:9"}
                    for n in range(nodes)
                ],
                "user": "gateway",
                "password": "hunter2",
            },
            "auth": {"secret": "the gateway's own secret, long enough"},
            **tables,
        },
        source="test",
    )


def test_some_are_kept_for_probes_the_database_and_the_nodes() -> None:
    found = Descriptors.of(configured(nodes=3), limit=20_000)
    assert found.for_clients == 20_000 - 64 - 24


def test_of_a_limit_that_is_far_too_small_a_part_is_kept() -> None:
    found = Descriptors.of(configured(), limit=120)
    assert found.for_clients == 90
    assert (found.for_operators, found.for_probes) == (105, 7)


@pytest.mark.parametrize(
    ("tables", "needed"),
    [
        ({"limits": {"connections": 1000}}, 1072),
        # Each has a relay of its own.
        ({"limits": {"connections": 1000}, "fanout": "passthrough"}, 2072),
        ({"limits": {"connections": 1000}, "access": [{"roles": ["x"], "send": ["**"]}]}, 2072),
    ],
)
def test_missing_parts_are_named_with_the_remedy(tables: dict[str, Any], needed: int) -> None:
    settings = configured(**tables)
    assert needs(settings) == needed
    assert Descriptors.of(settings, limit=needed).shortage(settings) is None
    told = Descriptors.of(settings, limit=needed - 1).shortage(settings)
    assert told is not None
    assert f"allows this process {needed - 1} open files" in str(told)
    assert f"limits.connections = 1000 needs {needed}" in str(told)
    assert "LimitNOFILE" in told.mend


def test_the_soft_limit_becomes_the_hard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(1024, 5000)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    assert Descriptors.found(configured()).limit == 5000
    assert limits == [(1024, 5000)]
    assert Descriptors.raised(configured()).limit == 5000
    assert limits[-1] == (5000, 5000)


def test_the_lowest_free_number_is_what_is_given_next() -> None:
    number = lowest_free()
    opened = os.open(os.devnull, os.O_RDONLY)
    try:
        assert opened == number
    finally:
        os.close(opened)


def test_there_is_room_for_clients_below_the_number_from_which_on_descriptors_are_kept() -> None:
    lowest = lowest_free()
    assert lowest is not None
    assert Descriptors(limit=lowest + 11, kept=10).has_room
    assert not Descriptors(limit=lowest + 10, kept=10).has_room
