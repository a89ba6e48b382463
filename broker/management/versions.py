"""Versions of RabbitMQ, as tuples that can be compared. Pure."""

from __future__ import annotations

import re
from typing import Final

Version = tuple[int, ...]

#: The gateway is tested with these and with what lies between them.
OLDEST: Final[Version] = (3, 10)
NEWEST: Final[Version] = (4, 3)


def read_version(text: str) -> Version:
    """The version in a text such as ``4.3.6-rc.1``: ``(4, 3, 6)``; empty if it has no number."""
    return tuple(map(int, re.findall(r"\d+", text.partition("-")[0])))


def series(version: Version) -> str:
    """The name of a version's series: ``4.3`` for ``(4, 3, 6)``."""
    return ".".join(map(str, version[:2]))
