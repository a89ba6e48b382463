"""Bodies that are too deep for JSON libraries are told from those that are only large."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.messages.nesting import MOST, depth, is_too_deep


def nested(levels: int) -> Any:
    body: Any = "x"
    for level in range(levels):
        body = {"in": body} if level % 2 else [1, body, 2]
    return body


@pytest.mark.parametrize(
    ("body", "levels"),
    [(None, 0), ("[[[[", 0), ([], 1), ({}, 1), ([[], {"a": {"b": [1]}}, "x"], 4)],
)
def test_the_depth_is_that_of_the_deepest_value(body: Any, levels: int) -> None:
    assert depth(body) == levels


@pytest.mark.parametrize(
    ("body", "too_deep"),
    [
        (nested(MOST), False),
        ([nested(MOST - 1), []], False),
        (nested(MOST + 1), True),
        ([[]] * 500, False),
        ("[" * 500, False),
    ],
    ids=["just so deep", "just so deep, and wide", "deeper", "wide", "brackets in a text"],
)
def test_only_depth_is_too_deep(body: Any, too_deep: bool) -> None:
    assert is_too_deep(body, json.dumps(body).encode()) is too_deep
