"""The cells of a report, and their text: times in the reader's zone, words in the reader's
language. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Word:
    """A cell that is a word or sentence of the gateway's, by its key, with ``values`` in it."""

    key: str
    values: Mapping[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Joined:
    """A cell that is made of others."""

    cells: Sequence[Cell]
    separator: str


#: A value in a report; None is an empty cell.
Cell: TypeAlias = "str | int | datetime | Word | Joined | None"
Row: TypeAlias = Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Style:
    """The form in which a report is read. ``words``: by key; ``zone``: of all times;
    ``separator``: between the cells of CSV."""

    words: Mapping[str, str]
    zone: tzinfo
    separator: str = ","

    def say(self, key: str, **values: object) -> str:
        """The words of a key."""
        return self.words[key].format(**values)

    def text(self, cell: Cell) -> str:
        """The cell as text. Times have seconds and no zone, as spreadsheets read them: the title of
        their column names it."""
        if cell is None:
            return ""
        if isinstance(cell, Word):
            values = {name: self.text(value) for name, value in cell.values.items()}
            return self.say(cell.key, **values)
        if isinstance(cell, Joined):
            return cell.separator.join(self.text(each) for each in cell.cells)
        if isinstance(cell, datetime):
            return cell.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S")
        return str(cell)
