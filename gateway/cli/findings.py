"""Findings of a command, and how they are printed."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; ``problem`` is None if all is well.

    ``mend`` is what to do about the problem. ``skipped``: why it was not checked.
    """

    what: str
    problem: str | None = None
    mend: str | None = None
    skipped: str | None = None


def tell(findings: Iterable[Finding]) -> int:
    """Print findings; the exit code says whether there is a problem."""
    code = 0
    for finding in findings:
        if finding.skipped is not None:
            say(f"-      {finding.what}: {finding.skipped}")
        elif finding.problem is None:
            say(f"ok     {finding.what}")
        else:
            code = 1
            say(f"WRONG  {finding.what}: {finding.problem}")
            if finding.mend is not None:
                say(f"       {finding.mend}")
    return code


def say(text: str) -> None:
    """Print a line on standard output at once: a reader may wait for it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
