"""The results: a table in Markdown for people, JSON for programs."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from flood_suite.catalogue import FLOODS
from flood_suite.judge import (
    LEAST_DIFFERENCE,
    LEAST_ROUNDS,
    MOST_GROWTH,
    MOST_KEPT,
    MOST_RATIO,
    Result,
    Spread,
    Window,
    faults,
)

_HEAD = (
    "flood",
    "deliveries p50/p99 ms",
    "posts p50/p99 ms",
    "questions p50/p99 ms",
    "coming in p50 ms",
    "CPU %",
    "MB",
    "descriptors",
    "verdict",
)
NOTE = (
    "Each cell: without the flood → under it (medians of the rounds; CPU, memory and descriptors: "
    "the most of them) → after it, memory after each round. CPU of the gateway, of one core. A "
    "flood does harm if a p99 is "
    f"more than {MOST_RATIO:g} times and {1000 * LEAST_DIFFERENCE:.0f} ms longer, if anything of "
    "the good room is refused or lost, or if something does not come back (memory: more than "
    f"{MOST_KEPT / 1e6:.0f} MB, or {MOST_GROWTH / 1e6:.0f} MB more with each of {LEAST_ROUNDS} "
    "rounds)."
)
#: Answers that are named beside a flood.
_MOST_ANSWERS = 6
#: Floods that are named for the memory that they have left.
_MOST_KEEPERS = 3


def table(results: Sequence[Result]) -> str:
    """The table, what the floods were answered, and what is wrong."""
    rows = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    rows += ["| " + " | ".join(_cells(result)) + " |" for result in results]
    answers = [
        f"* {result.name}: {FLOODS[result.name].title}. {_answers(result)}"
        for result in results
        if not result.failure
    ]
    wrong = [f"* {result.name}: {fault}" for result in results for fault in faults(result)]
    verdict = ["", "What is wrong:", "", *wrong] if wrong else ["", "No flood did harm."]
    return "\n".join([*rows, "", NOTE, "", *answers, "", _memory(results), *verdict])


def _memory(results: Sequence[Result]) -> str:
    """What all floods have left of the gateway's memory, and which of them most of it."""
    seen = [(each.name, each.before, each.after) for each in results if each.before and each.after]
    if not seen:
        return "The gateway's memory was not seen."
    first, last = seen[0][1].memory, seen[-1][2].memory
    most = sorted(seen, key=lambda each: each[1].memory - each[2].memory)[:_MOST_KEEPERS]
    kept = ", ".join(
        f"{name} {(after.memory - before.memory) / 1e6:.0f}" for name, before, after in most
    )
    return (
        f"The gateway's memory at rest: {first / 1e6:.0f} MB before the first flood, "
        f"{last / 1e6:.0f} MB after the last; most was added by (MB) {kept}."
    )


def line(result: Result) -> str:
    """One flood in one line, for whoever waits."""
    found = faults(result)
    if result.failure:
        return f"{result.name}: {found[0]}"
    calm, flooded = result.medians("deliveries")
    verdict = "; ".join(found) or "no harm"
    return (
        f"{result.name}: deliveries p99 {_ms(calm.p99)} → {_ms(flooded.p99)} ms, "
        f"posts {_ms(result.medians('posts')[0].p99)} → {_ms(result.medians('posts')[1].p99)} ms: "
        f"{verdict}"
    )


def document(results: Sequence[Result], at: datetime, **how: object) -> dict[str, Any]:
    """All results as JSON; ``how`` says what was measured."""
    return {
        "at": at.isoformat(timespec="seconds"),
        "machine": {"system": platform.platform(), "cores": os.cpu_count()},
        **how,
        "floods": [asdict(result) | {"faults": faults(result)} for result in results],
    }


def _cells(result: Result) -> list[str]:
    if result.failure or not result.rounds:
        return [result.name, *[""] * (len(_HEAD) - 2), "not measured"]
    found = faults(result)
    calm = [each.calm for each in result.rounds]
    flooded = [each.flooded for each in result.rounds]
    entries = result.medians("entries")
    assert result.after is not None  # noqa: S101 - it has rounds
    return [
        result.name,
        *(_change(*result.medians(what)) for what in ("deliveries", "posts", "questions")),
        f"{_ms(entries[0].p50)} → {_ms(entries[1].p50)}",
        f"{_most(calm, 'cpu', 0.01)} → {_most(flooded, 'cpu', 0.01)}",
        f"{_most(calm, 'memory', 1e6)} → {_most(flooded, 'memory', 1e6)} → "
        + ", ".join(f"{each.memory / 1e6:.0f}" for each in result.rounds),
        f"{_most(calm, 'descriptors', 1)} → {_most(flooded, 'descriptors', 1)} → "
        f"{result.after.descriptors}",
        "**harm**" if found else "ok",
    ]


def _change(calm: Spread, flooded: Spread) -> str:
    return f"{_ms(calm.p50)}/{_ms(calm.p99)} → {_ms(flooded.p50)}/{_ms(flooded.p99)}"


def _most(windows: Sequence[Window], what: str, unit: float) -> str:
    return f"{max(getattr(window.cost, what) for window in windows) / unit:.0f}"


def _answers(result: Result) -> str:
    common = result.tally.most_common(_MOST_ANSWERS)
    return ", ".join(f"{text}: {number:,}" for text, number in common) or "Nothing came of it."


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f}" if seconds >= 0.01 else f"{1000 * seconds:.1f}"
