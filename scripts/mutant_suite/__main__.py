"""`scripts/mutants`: changes the pure modules in every small way, and says what no test noticed."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

from devenv import command_lines
from mutant_suite import accepted, trial
from mutant_suite.modules import MODULES
from mutant_suite.mutant import mutants

_T = TypeVar("_T")

_ROOT = Path(__file__).parents[2]
#: What the tests may take without a change.
_WITHOUT_CHANGE = trial.Limits(seconds=600.0, cpu_seconds=300)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line."""

    modules: list[str]
    list_only: bool
    entries: bool


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a module's mutants."""

    module: str
    killed: int
    timeouts: int
    accepted: int
    unknown: int
    seconds: float

    @property
    def mutants(self) -> int:
        return self.killed + self.timeouts + self.accepted + self.unknown


def main(arguments: Sequence[str] | None = None) -> int:
    """0: every mutant was noticed or is accepted; 1: one was not; 2: the tests fail as it is."""
    given = options(arguments)
    if given.list_only:
        print("\n".join(MODULES))
        return 0
    _signals_raise()
    try:
        rows = [_examine(module, entries=given.entries) for module in given.modules]
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except TestsFail as error:
        print(error, file=sys.stderr)
        return 2
    print(table(rows))
    return int(any(row.unknown for row in rows))


class TestsFail(Exception):
    """The tests of a module fail without any change, so that nothing can be said."""


def table(rows: Sequence[Row]) -> str:
    """The rows and their sum, in columns."""
    total = Row(
        "all",
        killed=sum(row.killed for row in rows),
        timeouts=sum(row.timeouts for row in rows),
        accepted=sum(row.accepted for row in rows),
        unknown=sum(row.unknown for row in rows),
        seconds=sum(row.seconds for row in rows),
    )
    width = max(len(row.module) for row in (*rows, total))
    head = f"{'module':{width}} mutants killed timeouts accepted survived seconds"
    return "\n".join((head, *(_line(row, width) for row in (*rows, total))))


def _line(row: Row, width: int) -> str:
    return (
        f"{row.module:{width}} {row.mutants:7} {row.killed:6} {row.timeouts:8} {row.accepted:8} "
        f"{row.unknown:8} {row.seconds:7.0f}"
    )


def options(arguments: Sequence[str] | None = None) -> Options:
    """What the command line says; exits for what it may not say."""
    parser = command_lines.mutants()
    given = parser.parse_args(arguments)
    for part in given.modules:
        if not any(part in module for module in MODULES):
            parser.error(f"no module has {part!r} in its path; --list names them all")
    modules = [
        module
        for module in MODULES
        if not given.modules or any(part in module for part in given.modules)
    ]
    return Options(modules, given.list, given.entries)


def _examine(module: str, *, entries: bool) -> Row:
    # Only here, so that all else works without Cosmic Ray.
    from mutant_suite.changes import changes  # noqa: PLC0415

    trial.import_libraries()
    path, tests = _ROOT / module, MODULES[module]
    name = module.removesuffix(".py").replace("/", ".")
    source = path.read_text()

    def outcomes(sources: list[str], limits: trial.Limits) -> Iterator[trial.Outcome]:
        changed = [trial.Change(path, name, each) for each in sources]
        return trial.outcomes(changed, tests, limits=limits, root=_ROOT)

    began, used = time.monotonic(), os.times()
    # The change that is none shows that the machinery works, and how long the tests take.
    if [*outcomes([source], _WITHOUT_CHANGE)] != [trial.Outcome.SURVIVED]:
        raise TestsFail(f"{' '.join(tests)}: fail without any change")
    limits = _limits(time.monotonic() - began, used, os.times())
    made = list(mutants(module, source, changes(source)))
    survivors = []
    counts: Counter[trial.Outcome] = Counter()
    found = outcomes([mutant.source for mutant in made], limits)
    for mutant, outcome in zip(_shown(made, module), found, strict=False):
        if outcome is trial.Outcome.UNTESTED:
            raise TestsFail(f"pytest could not run {' '.join(tests)} with\n{mutant}")
        counts[outcome] += 1
        if outcome is trial.Outcome.SURVIVED:
            survivors.append(mutant)
    if counts.total() != len(made):
        raise TestsFail(f"pytest could not start {' '.join(tests)}")
    judged = accepted.judge(module, survivors, accepted.FILE.read_text())
    for mutant in judged.unknown:
        print(accepted.entry(mutant) if entries else f"{mutant}\n")
    for _, scope, before, after in judged.unneeded:
        print(f"accepted.toml: {module} {scope}: no survivor any more: {before} -> {after}")
    return Row(
        module,
        counts[trial.Outcome.KILLED],
        counts[trial.Outcome.TIMEOUT],
        len(judged.accepted),
        len(judged.unknown),
        time.monotonic() - began,
    )


def _limits(seconds: float, before: os.times_result, after: os.times_result) -> trial.Limits:
    """Several times what the tests took as the code is."""
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return trial.Limits(seconds=10 + 10 * seconds, cpu_seconds=2 + math.ceil(2 * cpu))


def _shown(items: Sequence[_T], title: str) -> Iterator[_T]:
    """The items; meanwhile a line on a terminal tells how far it is."""
    terminal = sys.stderr.isatty()
    for number, item in enumerate(items, 1):
        if terminal:
            print(f"\r\033[K{title}: {number} of {len(items)}", end="", file=sys.stderr)
        yield item
    if terminal:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _signals_raise() -> None:
    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


if __name__ == "__main__":
    sys.exit(main())
