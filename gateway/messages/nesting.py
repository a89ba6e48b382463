"""The nesting of a body's arrays and objects. Pure.

Python's JSON parser recurses, and its limit depends on the depth of the caller: a body that is just
accepted could be stored and then never be read or published again, and its whole room with it. RFC
8259, section 9: a limit is each implementation's to set.
"""

from __future__ import annotations

from typing import Any, Final

#: Levels; no library has difficulties with so few.
MOST: Final = 100


def is_too_deep(body: Any, encoded: bytes) -> bool:
    """Whether the body is nested too deeply. ``encoded`` is JSON that contains it."""
    # Nearly all bodies have fewer brackets than that, and counting them is cheap.
    return encoded.count(b"[") + encoded.count(b"{") > MOST and depth(body) > MOST


def depth(body: Any) -> int:
    """The number of levels. 0: the body is neither an array nor an object."""
    found, layer = 0, [body]
    while containers := [each for each in layer if isinstance(each, dict | list)]:
        found += 1
        layer = [
            inner
            for each in containers
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return found
