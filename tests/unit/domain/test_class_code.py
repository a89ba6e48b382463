"""Class codes: their letters, what they must not spell, and how people type them."""

from __future__ import annotations

import random

import pytest

from gateway.domain.class_code import LENGTH, LETTERS, LONGEST_INPUT, class_code, is_fit, new_code


def test_a_code_has_six_letters_of_which_no_two_are_taken_for_each_other() -> None:
    draw = random.Random(7)  # noqa: S311 - the same codes each time
    for _ in range(2_000):
        code = new_code(draw.choice)
        assert len(code) == LENGTH
        assert set(code) <= set(LETTERS)
        assert class_code(code) == code
        assert is_fit(code)
    assert not set("AEIOUYLQVNZ") & set(LETTERS)


def test_an_ugly_code_is_drawn_again() -> None:
    letters = iter("FCKBCD" + "TPRWXB" + "BCDFGH")
    assert new_code(lambda _: next(letters)) == "BCDFGH"


@pytest.mark.parametrize(
    "written", ["bcdfgm", "BCD-FGM", " bcd fgm ", "ｂｃｄｆｇｍ", "vcdfgn", "8cdfgn", "bcdf.zm"]
)
def test_a_code_is_read_as_people_type_and_hear_it(written: str) -> None:
    assert class_code(written) == "BCDFGM"


def test_blanks_around_a_code_are_read_up_to_a_length() -> None:
    assert class_code("bcdfgm".ljust(LONGEST_INPUT)) == "BCDFGM"
    assert class_code("bcdfgm".ljust(LONGEST_INPUT + 1)) is None


@pytest.mark.parametrize("written", ["", "bcdfg", "bcdfghj", "bcdfga", "가나다라마바", "b" * 65])
def test_what_can_be_no_code_is_none(written: str) -> None:
    assert class_code(written) is None
