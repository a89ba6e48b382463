"""Rules for user names."""

from __future__ import annotations

import pytest

from gateway.domain.user_name import user_name


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "kim@school.kr",
        "김하나",
        "Anne Marie",
        "auth0|5f7c",
        "a/b",
        "#",
        "*",
        "u" * 200,
        "김" * 85,
    ],
)
def test_a_name_that_can_be_carried_everywhere_is_taken(name: str) -> None:
    assert user_name(name) == name


@pytest.mark.parametrize("value", [None, 42, True, ["kim"], {}, ""])
def test_a_name_is_a_string(value: object) -> None:
    with pytest.raises(ValueError, match="non-empty string"):
        user_name(value)


@pytest.mark.parametrize("name", ["u" * 201, "김" * 86])
def test_a_name_fits_into_an_amqp_short_string(name: str) -> None:
    with pytest.raises(ValueError, match="200 characters and 255 bytes"):
        user_name(name)


@pytest.mark.parametrize(
    "name", ["a\0", "a\nb", "a\rb", "a\tb", " a", "a ", " ", "\x7f", "\u2028", "\u202ea", "\ud800"]
)
def test_a_name_has_no_character_that_cannot_be_seen(name: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        user_name(name)
