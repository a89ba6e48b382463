"""The form of display names."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.display_name import MAX_CHARACTERS, display_name


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Kim Ha-na", "Kim Ha-na"),
        ("  Kim \t\n Ha-na\u3000", "Kim Ha-na"),
        # Hangul as macOS writes it, in single letters.
        ("\u1100\u1175\u11b7", "김"),
        ("Jose\u0301", "Jos\u00e9"),
        ("👩\u200d🏫 Ms. Park", "👩\u200d🏫 Ms. Park"),
        ("علی\u200cرضا", "علی\u200cرضا"),
        ("x" * MAX_CHARACTERS, "x" * MAX_CHARACTERS),
        # Longer than allowed only until it is composed.
        ("e\u0301" * MAX_CHARACTERS, "é" * MAX_CHARACTERS),
    ],
)
def test_a_name_is_shown_in_one_form(value: str, shown: str) -> None:
    assert display_name(value) == shown


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "must be a string"),
        (5, "must be a string"),
        (["Kim"], "must be a string"),
        ("", "must not be empty"),
        (" \t", "must not be empty"),
        ("\u200d\u200c", "must not be empty"),
        ("x" * (MAX_CHARACTERS + 1), "at most 100 characters"),
        ("x" * 1_000_000, "at most 100 characters"),
        ("a\0b", "control characters"),
        ("a\x1bb", "control characters"),
        ("abc\u202edcb", "control characters"),
        ("\u2066abc", "control characters"),
        ("a\u200bb", "control characters"),
        ("\ud800", "control characters"),
        ("\ue000", "control characters"),
    ],
)
def test_a_name_that_cannot_be_shown_is_refused(value: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        display_name(value)


@given(st.text(max_size=120))
def test_what_is_taken_is_in_its_own_form_already(value: str) -> None:
    try:
        name = display_name(value)
    except ValueError:
        return
    assert display_name(name) == name == unicodedata.normalize("NFC", name)
    assert 0 < len(name) <= MAX_CHARACTERS
    name.encode()
