"""The reading of pytest's output: the progress of a session, and how it ended."""

import re
from collections import Counter

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_PERCENT = re.compile(r"\[ *(\d+)%\]")
_LETTERS = re.compile(r"^(?:tests/\S+ )?([.FEsxX]+)(?: +\[ *\d+%\])?$", re.MULTILINE)
_COUNT = re.compile(r"(\d+) (failed|passed|skipped|deselected|xfailed|xpassed|warning|error)s?\b")
#: As pytest orders them.
_ORDER = ("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "warning", "error")


def progress(printed: str) -> str:
    """The progress of a session: `34 %`, with the number of failures if there are any."""
    printed = _COLOR.sub("", printed)
    percents = _PERCENT.findall(printed)
    failed = sum(len(re.findall("[FE]", letters)) for letters in _LETTERS.findall(printed))
    return f"{percents[-1] if percents else 0} %" + (f", {failed} failed" if failed else "")


def counts(printed: str) -> Counter[str]:
    """The counts in the closing line of a session; empty if it did not come to an end."""
    closing = _COLOR.sub("", printed).rstrip().rpartition("\n")[2]
    return Counter({word: int(number) for number, word in _COUNT.findall(closing)})


def closing_line(counts: Counter[str], seconds: float) -> str:
    """The closing line of a session with these counts, in pytest's words."""
    told = [
        f"{counts[word]} {word}{'s' if word in ('warning', 'error') and counts[word] > 1 else ''}"
        for word in _ORDER
        if counts[word]
    ]
    minutes = f"{seconds // 3600:.0f}:{seconds // 60 % 60:02.0f}:{seconds % 60:02.0f}"
    return f" {', '.join(told) or 'no tests ran'} in {seconds:.2f}s ({minutes}) ".center(80, "=")
