"""The one form of user names."""

from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.user_name import (
    carried_name,
    is_in_form,
    spellings,
    user_name,
    written_otherwise,
)


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("ｋｉｍ", "kim"),
        ("Ｋｉｍ\u3000Ｍｉｎａ", "Kim Mina"),
        (normalize("NFD", "김하나"), "김하나"),
        (normalize("NFD", "José"), "José"),
        ("ﾊﾅ", "ハナ"),
        ("\u212b", "Å"),
        ("\u212aim", "Kim"),
        ("Anne  Marie", "Anne  Marie"),
    ],
)
def test_however_it_is_written_it_is_one_name(written: str, form: str) -> None:
    assert user_name(written) == form
    assert spellings(written) == list(dict.fromkeys([written, form]))
    assert is_in_form(form)


def test_the_case_makes_another_name() -> None:
    """As UsernameCasePreserved has it (RFC 8265, section 3.4)."""
    assert user_name("Kim") != user_name("kim")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("☺", "symbols"),
        ("O’Neil", "punctuation"),
        ("ﬁn", "compat"),
        ("אבגabc", "bidi rule"),
        ("a\u200db", "zero width joiner"),
        ("\u1100\u1161\u3000\u1100", "old hangul jamo"),
    ],
)
def test_what_can_be_mistaken_for_something_else_is_no_name(name: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        user_name(name)
    assert not is_in_form(name)
    assert spellings(name) == [name]


@pytest.mark.parametrize("name", ["न्\u200dम", "עברית", "عربي", "カ・タ"])
def test_a_name_of_another_script_is_one_as_it_is(name: str) -> None:
    assert user_name(name) == name


def test_a_name_of_rabbitmqs_own_stays_as_it_is() -> None:
    assert carried_name("ｋｉｍ☺") == "ｋｉｍ☺"
    with pytest.raises(ValueError, match="printable"):
        carried_name("a\0")


def test_the_writers_form_is_kept_where_it_is_another_one() -> None:
    assert written_otherwise("ｋｉｍ", "kim") == "ｋｉｍ"
    assert written_otherwise("kim", "kim") is None


@given(st.text(max_size=12))
def test_the_form_of_a_form_is_itself(text: str) -> None:
    try:
        form = user_name(text)
    except ValueError:
        return
    assert user_name(form) == form
    assert len(form.encode()) <= 255
    assert user_name(normalize("NFD", form)) == form


@given(st.text(st.characters(min_codepoint=0, max_codepoint=127), max_size=12))
def test_in_ascii_nothing_changes(text: str) -> None:
    try:
        assert user_name(text) == text
    except ValueError:
        assert not text or not text.isprintable() or text != text.strip()
