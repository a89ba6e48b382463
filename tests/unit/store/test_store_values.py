import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from gateway.errors import Invalid
from gateway.store.tables import padded
from gateway.store.values import UtcDateTime, is_room, is_text, json_text, text

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda values: st.lists(values) | st.dictionaries(st.text(st.characters()), values),
)


@settings(deadline=None)
@given(JSON)
def test_any_json_value_becomes_ascii_without_u0000_and_comes_back(value: Any) -> None:
    written = json_text(value)
    assert written.isascii()
    assert "\0" not in written
    assert json.loads(written) == value


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), {1, 2}, b"x", object()])
def test_a_body_that_is_not_json_is_invalid(value: object) -> None:
    with pytest.raises(Invalid, match="JSON"):
        json_text(value)


def test_a_body_nested_too_deeply_is_invalid() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Invalid, match="deep"):
        json_text(deep)


@given(st.text(st.characters()))
def test_text_that_can_be_stored_is_utf8_without_u0000(value: str) -> None:
    try:
        storable = b"\0" not in value.encode()
    except UnicodeEncodeError:
        storable = False
    assert is_text(value) == storable


def test_text_is_checked_under_its_name() -> None:
    assert text("가" * 3, "title", 3) == "가" * 3
    for wrong in ("", "가" * 4, "\0", "\ud800"):
        with pytest.raises(Invalid, match="title"):
            text(wrong, "title", 3)


@pytest.mark.parametrize(
    ("number", "expected"), [(0, False), (1, True), (2**63 - 1, True), (2**63, False), (-1, False)]
)
def test_a_room_number_is_a_positive_64_bit_integer(number: int, expected: bool) -> None:
    assert is_room(number) is expected


def test_a_time_without_a_zone_is_a_mistake_of_the_caller() -> None:
    column = UtcDateTime()
    with pytest.raises(ValueError, match="zone"):
        column.process_bind_param(datetime(2026, 5, 4), sqlite.dialect())  # noqa: DTZ001 - the mistake
    assert column.process_bind_param(None, sqlite.dialect()) is None
    assert column.process_result_value(None, sqlite.dialect()) is None
    noon = datetime(2026, 5, 4, 12, tzinfo=UTC)
    assert column.process_result_value(noon.replace(tzinfo=None), sqlite.dialect()) == noon


@pytest.mark.parametrize(
    ("given", "expected"), [([], []), ([1], [1]), ([1, 2, 3], [1, 2, 3, 3]), ([5] * 5, [5] * 8)]
)
def test_lists_are_padded_to_a_power_of_two(given: list[int], expected: list[int]) -> None:
    assert padded(given) == expected
