"""Lists of people, in every form in which they come."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.roster import (
    MOST_BYTES,
    MOST_CHARACTERS,
    MOST_LINES,
    Line,
    decoded,
    has_heads,
)
from gateway.domain.roster import lines_of as read_lines


def lines_of(text: str) -> list[Line]:
    return list(read_lines(text))


def users(text: str) -> list[str]:
    return [line.get("user") for line in lines_of(text)]


@pytest.mark.parametrize(
    "text",
    [
        "aa, bb, cc",
        "aa,bb\ncc",
        "aa; bb;cc",
        "aa, bb; cc",
        "aa\nbb\r\ncc\n\n",
        " aa \n\n bb ,cc,,",
        '"aa"; "bb"; "cc"',
        "aa\tAnna\nbb\tBert\ncc\tCem",
        "\ufeffuser\naa\nbb\ncc",
        "아이디,이름\naa,안나\nbb,버트\ncc,셈",
        'name;user\n"Kim, Anna";aa\nBert;bb\nCem;cc',
        "No.\tID\tName\n1\taa\tAnna\n2\tbb\tBert\n3\tcc\tCem",
        "이름\naa\nbb\ncc",
    ],
)
def test_three_people_however_they_are_written(text: str) -> None:
    assert users(text) == ["aa", "bb", "cc"]


def test_columns_are_found_by_their_heads_in_two_languages() -> None:
    (line,) = lines_of("비밀번호\t이름\t아이디\t역할\nsecret\t김 안나\tanna\thost")
    assert dict(line.cells) == {
        "password": "secret",
        "name": "김 안나",
        "user": "anna",
        "role": "host",
    }
    assert line.number == 2


def test_what_a_spreadsheet_quotes_is_one_cell() -> None:
    (line,) = lines_of('user,name\nanna,"Kim ""Annie"", A."\n')
    assert line.get("name") == 'Kim "Annie", A.'


def test_names_with_blanks_stay_one_name() -> None:
    assert users("anna lee bob") == ["anna lee bob"]


@pytest.mark.parametrize("text", ["", "\n\n", " , ;", "user,name\n"])
def test_an_empty_list_has_nobody(text: str) -> None:
    assert users(text) == []


@pytest.mark.parametrize(
    "raw",
    [
        "아이디,이름\nanna,안나".encode("cp949"),
        "아이디,이름\nanna,안나".encode("utf-8-sig"),
        "아이디,이름\nanna,안나".encode("utf-16"),
        "아이디,이름\nanna,안나".encode(),
    ],
)
def test_a_file_is_read_as_korean_excel_writes_it(raw: bytes) -> None:
    (line,) = lines_of(decoded(raw))
    assert (line.get("user"), line.get("name")) == ("anna", "안나")


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match="CP949"):
        decoded(b"\xff\xff\x00\x81")


def test_a_list_has_an_end() -> None:
    with pytest.raises(ValueError, match="at most"):
        lines_of("\n".join(f"u{number}" for number in range(MOST_LINES + 1)))
    with pytest.raises(ValueError, match="at most"):
        lines_of("u," * (MOST_LINES + 1))
    assert len(lines_of("u," * MOST_LINES)) == MOST_LINES
    with pytest.raises(ValueError, match="twice"):
        lines_of("user,id\na,b")


@given(st.text(max_size=200))
def test_any_text_is_a_list_or_a_fault_that_is_told(text: str) -> None:
    found = []
    # A wrong list raises ValueError and nothing else.
    with suppress(ValueError):
        found = lines_of(text)
    assert all(line.number >= 1 for line in found)


def test_a_list_may_have_so_many_lines_and_no_more() -> None:
    most = "\n".join(f"u{number}\tU" for number in range(MOST_LINES))
    assert len(lines_of(most)) == MOST_LINES
    with pytest.raises(ValueError, match="lines"):
        lines_of(most + "\none more\tU")


def test_one_line_may_have_all_names_with_blanks_between_them_and_no_more() -> None:
    assert len(lines_of("u,," * (MOST_LINES - 1))) == MOST_LINES - 1
    assert len(lines_of("u" + "," * (2 * MOST_LINES - 1))) == 1
    with pytest.raises(ValueError, match="cells"):
        lines_of("u" + "," * 2 * MOST_LINES)


def test_its_bounds_are_those_that_are_documented() -> None:
    assert (MOST_LINES, MOST_CHARACTERS, MOST_BYTES) == (5_000, 300_000, 1_200_000)


def test_a_long_list_is_read_a_line_at_a_time() -> None:
    lines = read_lines("user\n" + "u\n" * (MOST_LINES + 1))
    assert next(lines) == Line(2, {"user": "u"})
    with pytest.raises(ValueError, match="at most"):
        list(lines)


def test_a_first_line_with_heads_is_told_from_a_person() -> None:
    assert has_heads("\ufeffname,user\nAnna,aa")
    assert not has_heads("aa,Anna\nuser,name")
    assert not has_heads("aa\nuser")
    assert not has_heads("")


def test_a_cell_that_never_ends_is_told_with_its_line() -> None:
    with pytest.raises(ValueError, match="line 2"):
        lines_of('user,name\naa,"' + "x" * 200_000)


def test_cells_without_a_head_are_left_out() -> None:
    (line,) = lines_of("user,name\naa,Anna,more\n")
    assert line.cells == {"user": "aa", "name": "Anna"}
