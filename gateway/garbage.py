"""Settings of Python's search for reference cycles: rarely, and not among permanent objects.

A collection walks all living objects, and thousands of connections live long: with Python's own
thresholds it took a third of a connection's CPU, and stopped the loop for tens of milliseconds.
https://docs.python.org/3/library/gc.html#gc.freeze
"""

from __future__ import annotations

import gc
from typing import Final

#: New containers before the youngest generation is searched; Python's own 700 are those of one
#: request.
_YOUNG: Final = 20_000
#: Searches of it before the next generation is searched, which stops the loop for as long as the
#: objects of so many take, and searches of that one before the oldest; Python's own are 10 and 10.
_MIDDLE, _OLD = 3, 33


def settle() -> None:
    """Call this once all permanent objects have been made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
