"""Answers that are saved as files: their names. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import quote

#: What Windows takes in no name, besides control characters: elsewhere some of it means a folder.
_SEPARATORS: Final = frozenset('\\/:*?"<>|')
#: Control, format, surrogate, private and unassigned characters, and ends of lines: what is not
#: seen, or turns the direction of the rest so that a program looks like a table.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
#: Characters of a name, which has 255 bytes at most on most disks.
_LONGEST: Final = 60


def file_name(title: str) -> str:
    """The part of a file's name that a title gives; empty if nothing of it can be in one."""
    kept = (
        " " if each in _SEPARATORS or unicodedata.category(each) in _UNSEEN else each
        for each in title
    )
    # Names with a dot in front are hidden, and Windows drops those at the end.
    return re.sub(r"\s+", " ", "".join(kept)).strip(" .")[:_LONGEST].rstrip(" .")


def attachment(plain: str, full: str) -> str:
    """The header ``Content-Disposition`` of a file: ``plain``, its name in ASCII for old clients,
    and ``full`` in any script (RFC 6266, section 4.3; RFC 8187, section 3.2)."""
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(full, safe='')}"
