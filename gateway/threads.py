"""Settings of Python's threads: the event loop gets the interpreter back soon.

A thread that computes keeps the interpreter for five milliseconds by default, and the loop waits
for it after each of its system calls. So threads that read the history delayed a request, which
needs a dozen turns of the loop, by half a tenth of a second.
https://docs.python.org/3/library/sys.html#sys.setswitchinterval
"""

from __future__ import annotations

import sys
from typing import Final

#: Seconds that a thread may keep the interpreter while another one wants it.
SWITCH: Final = 0.001


def settle() -> None:
    """Call this at the start."""
    sys.setswitchinterval(SWITCH)
