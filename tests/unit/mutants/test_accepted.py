"""Survivors that are accepted, and those that are not."""

import tomllib
from pathlib import Path

from mutant_suite import accepted
from mutant_suite.modules import MODULES
from mutant_suite.mutant import Mutant, scopes


def mutant(before: str, after: str) -> Mutant:
    return Mutant("broker/box.py", "Box.full", 11, before, after, "")


PLAIN = mutant("return size > 1", "return size >= 1")
QUOTED = mutant("if a == 'x':\nb()", "if a != 'x':\nb()")


def with_reason(each: Mutant, reason: str = "the same") -> str:
    return accepted.entry(each).replace("reason = ''", f"reason = '{reason}'")


def test_an_entry_accepts_the_survivor_that_it_was_made_of() -> None:
    document = with_reason(PLAIN) + with_reason(QUOTED)
    judged = accepted.judge("broker/box.py", [PLAIN, QUOTED], document)
    assert (judged.accepted, judged.unknown, judged.unneeded) == ([PLAIN, QUOTED], [], [])


def test_without_an_entry_with_a_reason_it_is_unknown() -> None:
    document = with_reason(QUOTED) + accepted.entry(PLAIN)
    judged = accepted.judge("broker/box.py", [PLAIN, QUOTED], document)
    assert (judged.accepted, judged.unknown) == ([QUOTED], [PLAIN])
    assert accepted.judge("broker/box.py", [PLAIN], "").unknown == [PLAIN]


def test_one_entry_is_for_one_survivor_and_needless_ones_are_named() -> None:
    judged = accepted.judge("broker/box.py", [PLAIN, PLAIN], with_reason(PLAIN))
    assert (judged.accepted, judged.unknown) == ([PLAIN], [PLAIN])
    document = with_reason(PLAIN) * 2 + with_reason(QUOTED)
    judged = accepted.judge("broker/box.py", [PLAIN], document)
    assert judged.unneeded == [PLAIN.key, QUOTED.key]


def test_entries_of_other_modules_are_left_alone() -> None:
    other = with_reason(PLAIN).replace("box.py", "lid.py")
    judged = accepted.judge("broker/box.py", [PLAIN], other)
    assert (judged.unknown, judged.unneeded) == ([PLAIN], [])


def test_the_file_names_modules_that_are_changed() -> None:
    assert accepted.modules(accepted.FILE.read_text()) <= MODULES.keys()


def test_each_entry_of_the_file_names_code_that_is_there() -> None:
    """An entry that outlives its code accepts nothing: the survivor has another name by then."""
    entries = tomllib.loads(accepted.FILE.read_text())["mutant"]
    assert entries
    assert not [entry for entry in entries if not is_there(entry)]


def is_there(entry: dict[str, str]) -> bool:
    source = (Path(__file__).parents[3] / entry["module"]).read_text()
    lines = [line.strip() for line in source.splitlines()]
    return any(
        entry["before"] in "\n".join(lines[first - 1 : last])
        for name, first, last in scopes(source)
        if name == entry["scope"]
    )
