"""CSV (RFC 4180) as spreadsheets read it: in UTF-8 with a mark, and without live formulas. Pure."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO
from typing import Final

from gateway.reports.cells import Row, Style

#: By this Excel knows that a file is UTF-8; without it, Korean is read as CP949.
BOM: Final = "\ufeff"
MEDIA_TYPE: Final = "text/csv; charset=utf-8; header=present"

#: The characters with which a spreadsheet takes a text for a formula, also in their full width,
#: which Excel takes for the same where Korean is written.
#: https://owasp.org/www-community/attacks/CSV_Injection
_BEGINS_FORMULA: Final = frozenset("=+-@|%＝＋－＠｜％")


def harmless(text: str) -> str:
    """The text, with an apostrophe before what a spreadsheet would take for a formula."""
    # A spreadsheet drops what is before it and not seen, or a cell begins anew there.
    begin = next((each for each in text if each.isprintable() and each != " "), "")
    return f"'{text}" if begin in _BEGINS_FORMULA else text


def lines(rows: Iterable[Row], style: Style) -> str:
    """The rows as lines of CSV. Every text is quoted, because members choose what is in it; numbers
    are not."""
    out = StringIO()
    writer = csv.writer(
        out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n", delimiter=style.separator
    )
    for row in rows:
        writer.writerow(
            [cell if isinstance(cell, int) else harmless(style.text(cell)) for cell in row]
        )
    # U+0000 ends a text in some spreadsheets; a lone surrogate is no UTF-8.
    text = out.getvalue().replace("\0", "\ufffd")
    return text.encode(errors="replace").decode()
