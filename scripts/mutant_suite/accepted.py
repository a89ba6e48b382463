"""The survivors that are known to behave as the original does, each with its reason."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mutant_suite.mutant import Mutant

FILE: Final = Path(__file__).with_name("accepted.toml")


@dataclass(frozen=True, slots=True)
class Judged:
    """The survivors, compared with the accepted ones.

    ``unneeded``: the entries of ``accepted.toml`` that no survivor needs any more.
    """

    accepted: list[Mutant]
    unknown: list[Mutant]
    unneeded: list[tuple[str, str, str, str]]


def modules(document: str) -> set[str]:
    """Those that ``document`` has entries for."""
    return {entry["module"] for entry in tomllib.loads(document).get("mutant", [])}


def judge(module: str, survivors: Iterable[Mutant], document: str) -> Judged:
    """Part the survivors of a module by ``document``, the text of ``accepted.toml``: its tables
    ``mutant`` have the keys ``module``, ``scope``, ``before``, ``after`` and ``reason``. One entry
    is for one survivor: the same change at two places of a function needs two."""
    left = Counter(
        (entry["module"], entry["scope"], entry["before"], entry["after"])
        for entry in tomllib.loads(document).get("mutant", [])
        if entry["module"] == module and entry["reason"]
    )
    accepted, unknown = [], []
    for survivor in survivors:
        if left[survivor.key]:
            left[survivor.key] -= 1
            accepted.append(survivor)
        else:
            unknown.append(survivor)
    return Judged(accepted, unknown, list(left.elements()))


def entry(mutant: Mutant) -> str:
    """What to add to ``accepted.toml`` for a mutant, once the reason is filled in."""
    return (
        f"[[mutant]]\nmodule = {_literal(mutant.module)}\nscope = {_literal(mutant.scope)}\n"
        f"before = {_literal(mutant.before)}\nafter = {_literal(mutant.after)}\nreason = ''\n"
    )


def _literal(text: str) -> str:
    if "'''" in text:
        raise ValueError("no TOML literal can hold this")
    return f"'''{text}'''" if "'" in text or "\n" in text else f"'{text}'"
