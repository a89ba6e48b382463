"""CSV as spreadsheets read it, whatever members have written."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.reports import csv_text
from gateway.reports.cells import Row, Style, Word
from gateway.reports.csv_text import harmless
from gateway.reports.words import WORDS, language_of

KOREAN = Style(WORDS["ko"], ZoneInfo("Asia/Seoul"))


@pytest.mark.parametrize(
    "text",
    [
        *('=HYPERLINK("http://x")', "+1", "-2+3", "@SUM(1)", "|cmd", "%0A"),
        *("＝1+1", "＋1", "－1", "＠x"),
        *(" =1", "\t=1", "\r\n=1", "\u00a0=1", "\ufeff=1", "\u200b@x", "\u3000=1", "\x1d=1"),
    ],
)
def test_what_a_spreadsheet_would_take_for_a_formula_is_a_text(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "1 + 1 = 2", "a=b", "김 선생님", "'=1", "(-1)", "\t", "😀"])
def test_every_other_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


@given(st.lists(st.lists(st.text(), min_size=1, max_size=4), max_size=6))
def test_whatever_is_written_no_cell_begins_a_formula_and_no_cell_is_lost(
    rows: list[list[str]],
) -> None:
    text = csv_text.lines(rows, KOREAN)
    read = list(csv.reader(StringIO(text, newline="")))
    assert [len(row) for row in read] == [len(row) for row in rows]
    for row, written in zip(read, rows, strict=True):
        for cell, was in zip(row, written, strict=True):
            seen = [each for each in cell if each.isprintable() and each != " "]
            assert not seen or seen[0] not in "=+-@"
            assert cell.removeprefix("'").strip("\0\ufffd?") in cell
            assert len(cell) - len(was) in (0, 1)
    assert "\0" not in text
    text.encode()


def test_lines_end_as_the_standard_says_and_numbers_are_numbers() -> None:
    noon = datetime(2026, 5, 4, 3, 0, 7, tzinfo=UTC)
    row: Row = [3, noon, Word("host"), 'say "hi"\n', None]
    assert csv_text.lines([row], KOREAN) == (
        '3,"2026-05-04 12:00:07","진행자","say ""hi""\n",""\r\n'
    )


def test_a_lone_surrogate_does_not_break_the_file() -> None:
    assert csv_text.lines([["a\ud800b"]], KOREAN) == '"a?b"\r\n'


def test_every_language_has_the_same_words_with_the_same_values() -> None:
    english, korean = WORDS["en"], WORDS["ko"]
    assert english.keys() == korean.keys()
    for key in english:
        values = {"number", "time", "zone", "why"}
        assert {v for v in values if f"{{{v}}}" in english[key]} == {
            v for v in values if f"{{{v}}}" in korean[key]
        }, key


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("ko-KR,ko;q=0.9,en-US;q=0.8", "ko"),
        ("en-GB,en;q=0.9", "en"),
        ("de-DE, ko;q=0.5", "ko"),
        ("", "en"),
        ("*", "en"),
    ],
)
def test_the_language_is_the_first_one_that_there_is(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


def test_the_cells_are_separated_as_the_readers_spreadsheet_separates_them() -> None:
    style = replace(KOREAN, separator=";")
    assert csv_text.lines([["a;b", 1, "c,d"]], style) == '"a;b";1;"c,d"\r\n'
