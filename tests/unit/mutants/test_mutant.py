"""Mutants: which changes are some, and how they are identified."""

import pytest

from mutant_suite.mutant import Mutant, mutants

SOURCE = '''\
"""A module."""
LIMIT = 128 * 1024
NAMES = ("a", "b")

class Box:
    """A box."""

    @property
    def full(self) -> bool:
        size: int = len(self.items)
        return size > LIMIT

    def empty(self) -> None:
        self.items.clear()
        return None

PAUSES = Pauses(first=0.5, longest=2 * 60)
'''


def only(changed: str) -> Mutant:
    (made,) = mutants("broker/box.py", SOURCE, [changed])
    return made


def test_it_is_known_by_where_it_is_and_what_it_changes() -> None:
    made = only(SOURCE.replace(">", ">=").replace("->=", "->"))
    assert made.key == (
        "broker/box.py",
        "Box.full",
        "return size > LIMIT",
        "return size >= LIMIT",
    )
    assert made.line == 11
    assert str(made).splitlines() == [
        "broker/box.py:11 Box.full",
        "    - return size > LIMIT",
        "    + return size >= LIMIT",
    ]


def test_outside_of_functions_and_classes_its_scope_is_the_module() -> None:
    assert only(SOURCE.replace('"a", "b"', '"a"')).scope == "module"


def test_a_statement_that_is_gone_shows_what_was_there() -> None:
    made = only(SOURCE.replace("        return size > LIMIT\n", ""))
    assert (made.before, made.after) == ("return size > LIMIT", "")


@pytest.mark.parametrize(
    ("of", "to"),
    [
        ("size > LIMIT", "size  >  LIMIT"),
        ("size > LIMIT", "size > > LIMIT"),
        ("-> bool", "-> int"),
        (": int =", ": str ="),
        ("@property", "@staticmethod"),
        ("A box.", "No box."),
        ("128 * 1024", "128 + 1024"),
        ("128 * 1024", "129 * 1024"),
        ("first=0.5", "first=1.5"),
        ("longest=2 * 60", "longest=3 * 60"),
        ("return None", "pass"),
    ],
)
def test_a_change_that_is_no_python_or_decides_nothing_is_no_mutant(of: str, to: str) -> None:
    assert of in SOURCE
    assert list(mutants("broker/box.py", SOURCE, [SOURCE.replace(of, to)])) == []


def test_each_is_there_once_and_they_come_in_the_order_of_their_lines() -> None:
    later = SOURCE.replace("LIMIT\n", "0\n")
    earlier = SOURCE.replace('"a"', '"c"')
    made = mutants("broker/box.py", SOURCE, [later, earlier, later])
    assert [each.source for each in made] == [earlier, later]
