"""Lists of people as somebody pastes them, or as a spreadsheet writes them. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

#: Lines of a list, and names of one; a room may have fewer members.
MOST_LINES: Final = 5_000
#: Characters of a list: so many lines of sixty.
MOST_CHARACTERS: Final = 60 * MOST_LINES
#: Bytes of a list as a JSON string: of a character of Korean there are three, a tab is ``\\t``.
MOST_BYTES: Final = 4 * MOST_CHARACTERS
#: Cells of one line: all names may stand in one, with blanks and separators between them.
_MOST_CELLS: Final = 2 * MOST_LINES
#: In this order: a spreadsheet copies with tabs, and Excel saves with the semicolon in some
#: countries; both have commas within cells.
_SEPARATORS: Final = "\t;,"
#: What heads a column, by what is in it. Compared in lower case, without blanks.
_HEADS: Final[Mapping[str, str]] = {
    head: column
    for column, heads in {
        "user": (
            *("user", "username", "userid", "id", "login", "account", "member"),
            *("아이디", "사용자", "계정", "학번", "사번", "사용자이름"),
        ),
        "name": (
            *("name", "displayname", "fullname", "nickname", "shownas"),
            *("이름", "성명", "표시이름", "학생", "학생이름"),
        ),
        "role": ("role", "역할"),
        "roles": ("roles", "권한"),
        "password": ("password", "passwort", "비밀번호", "암호"),
    }.items()
    for head in heads
}


@dataclass(frozen=True, slots=True)
class Line:
    """One person of a list. ``number``: of the line, from 1; ``cells``: what stands there, by
    column (``user``, ``name``, ``role``, ``roles``, ``password``)."""

    number: int
    cells: Mapping[str, str]

    def get(self, column: str) -> str:
        return self.cells.get(column, "")


def decoded(raw: bytes) -> str:
    """The text of a file: UTF-8 or UTF-16 with their marks, UTF-8, or CP949, as Korean Excel writes
    it. The ``ValueError`` says that it is none of these."""
    marked = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    encodings = ["utf-16"] if marked else ["utf-8-sig", "cp949"]
    for encoding in encodings:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError("the text is neither UTF-8 nor UTF-16 nor CP949 (Korean Excel)")


def lines_of(text: str) -> Iterator[Line]:
    """The people of a list, read one after the other.

    With a first line that names the columns (in English or Korean), or with tabs, each line is one
    person: the user's name, then the name to show. Otherwise each name stands for itself, whatever
    stands between them: commas, semicolons, line breaks. The ``ValueError`` says what is wrong.
    """
    # Whoever types a list mixes separators; in quotes they belong to a name.
    between = re.compile("$^" if '"' in text else "[,;]")
    columns: tuple[str, ...] | None = ("user", "name") if "\t" in text else None
    found = 0
    for place, (number, cells) in enumerate(_rows(text)):
        if place == 0 and (head := _head(cells)) is not None:
            columns = head
        elif columns is not None:
            yield Line(number, _by_column(cells, columns))
        else:
            # A line may have any number of them.
            for name in _names(cells, between):
                found += 1
                if found > MOST_LINES:
                    raise ValueError(f"a list may have at most {MOST_LINES} names")
                yield Line(number, {"user": name})


def has_heads(text: str) -> bool:
    """Whether the first line names the columns. The ``ValueError`` says what is wrong with it."""
    first = next(_rows(text), None)
    return first is not None and _head(first[1]) is not None


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not empty, with their numbers and cells."""
    text = text.removeprefix("\ufeff")
    # Of a first line with several separators the strongest one counts.
    separator = next((each for each in _SEPARATORS if each in text), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    found = 0
    try:
        for row in reader:
            if len(row) > _MOST_CELLS:
                raise ValueError(f"line {reader.line_num} has more than {_MOST_CELLS} cells")
            cells = [" ".join(cell.split()) for cell in row]
            if any(cells):
                found += 1
                if found > MOST_LINES:
                    raise ValueError(f"a list may have at most {MOST_LINES} lines")
                yield reader.line_num, cells
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error


def _names(cells: Sequence[str], between: re.Pattern[str]) -> Iterator[str]:
    """The names in a line that has no columns."""
    names = (name.strip() for cell in cells for name in between.split(cell))
    return filter(None, names)


def _head(cells: Sequence[str]) -> tuple[str, ...] | None:
    """The columns that a first line names; None: it names a person. Unknown columns are ''."""
    columns = tuple(_HEADS.get("".join(cell.lower().split()), "") for cell in cells)
    known = [column for column in columns if column]
    if "user" not in known:
        # "이름" alone heads a list of names.
        return ("user",) if known == ["name"] and len(cells) == 1 else None
    if len(set(known)) < len(known):
        raise ValueError("the first line names a column twice")
    return columns


def _by_column(cells: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    return {column: cell for column, cell in zip(columns, cells, strict=False) if column}
