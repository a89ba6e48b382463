"""How deep a body's arrays and objects stand in each other. Pure.

Python's JSON goes down by recursion, and how far depends on who calls it: a body that is just
accepted could be stored and never be read or published again, and with it its whole room. RFC 8259,
section 9: a limit is each implementation's to set.
"""

from __future__ import annotations

from typing import Any, Final

#: Levels; nobody's library has difficulties with so few.
MOST: Final = 100


def is_too_deep(body: Any, encoded: bytes) -> bool:
    """``encoded`` is JSON that holds the body."""
    # Nearly all have fewer brackets than that, and counting them costs nothing.
    return encoded.count(b"[") + encoded.count(b"{") > MOST and depth(body) > MOST


def depth(body: Any) -> int:
    """0: it is no array and no object."""
    found, layer = 0, [body]
    while containers := [each for each in layer if isinstance(each, dict | list)]:
        found += 1
        layer = [
            inner
            for each in containers
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return found
