"""Settings of Python's threads: the event loop gets the interpreter back soon.

A thread that computes keeps the interpreter for five milliseconds by default, and the loop waits
for it after each of its system calls: a request, which needs two dozen turns of the loop, may be
delayed by a tenth of a second. Giving it back costs some microseconds.
https://docs.python.org/3/library/sys.html#sys.setswitchinterval
"""

from __future__ import annotations

import sys
from typing import Final

#: Seconds that a thread may keep the interpreter while another one wants it.
SWITCH: Final = 0.000_2


def settle() -> None:
    """Call this at the start."""
    sys.setswitchinterval(SWITCH)
