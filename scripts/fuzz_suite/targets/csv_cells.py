"""Exports as CSV, of whatever members have written."""

import csv
from datetime import UTC
from io import StringIO

from gateway.reports.cells import Style
from gateway.reports.csv_text import lines
from gateway.reports.words import WORDS

SEEDS = (
    b"=1+1",
    "\u3000＝HYPERLINK(1)".encode(),
    b'a,"b"\r\n;=2\t@x',
    b"\x00-1",
    b"\xed\xa0\x80+1",
    "김 선생님".encode(),
)
#: The characters with which a spreadsheet takes a text for a formula.
_LIVE = "=+-@|%＝＋－＠｜％"


def check(data: bytes) -> None:
    """A cell is read as it was written, but for an apostrophe before what a spreadsheet would take
    for a formula; none is left that it would."""
    written = data.decode(errors="surrogatepass") if _is_text(data) else data.decode("latin-1")
    for separator in (",", ";", "\t"):
        style = Style(WORDS["en"], UTC, separator)
        text = lines([[written, 1, written]], style)
        text.encode()
        ((first, number, last),) = csv.reader(StringIO(text, newline=""), delimiter=separator)
        assert first == last
        assert number == "1"
        shown = written.replace("\0", "\ufffd").encode(errors="replace").decode()
        assert first in (shown, f"'{shown}")
        seen = [each for each in first if each.isprintable() and not each.isspace()]
        assert not seen or seen[0] not in _LIVE


def _is_text(data: bytes) -> bool:
    try:
        data.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return False
    return True
