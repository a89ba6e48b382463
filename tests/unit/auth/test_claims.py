"""Reading claims: one meaning for each text, or none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth.claims import find, is_one_of, put, read_object, unverified, words

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_an_object_is_read_as_it_is_written(value: dict[str, Any]) -> None:
    assert read_object(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        b'{"sub": "kim", "sub": "lee"}',
        b'{"a": {"roles": [], "roles": ["admin"]}}',
        b'{"a": [{"b": 1, "b": 1}]}',
        b'{"sub": 1, "\\u0073ub": 2}',
        b'{"exp": NaN}',
        b'{"exp": Infinity}',
        b'{"exp": -Infinity}',
        b"[]",
        b'"x"',
        b"",
        b"\xff",
        b"[" * 100_000,
        b'{"exp": ' + b"1" * 5000 + b"}",
    ],
)
def test_what_two_readers_might_read_differently_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_object(text)


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.c.d", "..", ".a.", ".e30=x.", ".W10."])
def test_a_text_without_three_parts_of_base64url_has_no_claims(token: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unverified(token, 1)


def test_a_claim_is_found_only_where_the_path_leads() -> None:
    claims = {"a": {"b": {"c": 1}, "b.c": 2}, "a.b": 3, "list": [{"b": 4}], "null": None}
    for path, found in (
        (["a", "b", "c"], 1),
        (["a", "b.c"], 2),
        (["a.b"], 3),
        (["list", "b"], None),
        (["list", "0"], None),
        (["a", "b", "c", "d"], None),
        (["null"], None),
        (["null", "x"], None),
        (["x"], None),
    ):
        assert find(claims, path) == found


@given(st.lists(st.text(), min_size=1, max_size=5), JSON)
def test_what_is_put_is_found(path: list[str], value: object) -> None:
    claims: dict[str, Any] = {}
    put(claims, path, value)
    assert find(claims, path) == value


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a", ["a"]),
        ("  a\tb c ", ["a", "b", "c"]),
        ("", []),
        ([], []),
        (["a b", "c"], ["a b", "c"]),
    ],
)
def test_roles_are_a_list_or_words(value: object, found: list[str]) -> None:
    assert words(value) == found


@pytest.mark.parametrize("value", [None, 1, True, {"a": 1}, ["a", 1], [["a"]]])
def test_anything_else_is_no_roles(value: object) -> None:
    with pytest.raises(ValueError, match="list of strings"):
        words(value)


@pytest.mark.parametrize(
    ("value", "allowed", "fits"),
    [
        ("a", ("a", "b"), True),
        (["x", "b"], ("a", "b"), True),
        (True, (True,), True),
        (1, (True,), False),
        ("true", (True,), False),
        (True, ("true",), False),
        ("ab", ("a", "b"), False),
        (["ab"], ("a",), False),
        ([], ("a",), False),
        ([["a"]], ("a",), False),
        ({"a": 1}, ("a",), False),
        (None, ("a",), False),
    ],
)
def test_a_required_claim_has_exactly_one_of_the_values(
    value: object, allowed: tuple[str | bool, ...], fits: bool
) -> None:
    assert is_one_of(value, allowed) is fits
