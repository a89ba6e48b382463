"""When Python looks for cycles: rarely, and not among what is there to stay.

Collecting walks everything that lives, and thousands of connections live long: with Python's own
thresholds it took a third of a connection's CPU, and stopped the loop for tens of milliseconds.
https://docs.python.org/3/library/gc.html#gc.freeze
"""

from __future__ import annotations

import gc
from typing import Final

#: New containers before the youngest generation is looked through; Python's own 700 is one
#: request's worth.
_YOUNG: Final = 20_000


def settle() -> None:
    """To be called once everything that stays has been made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)
