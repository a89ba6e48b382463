"""Entries that expire between two readings of the clock end cleanly."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gateway
from gateway.expiring import Expiring


class JumpingClock:
    """Jumps past every lifetime at one of the looks that are taken from now on."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self._looks = 0

    def jump_at_look(self, number: int) -> None:
        self._looks = number

    def __call__(self) -> float:
        self._looks -= 1
        if self._looks == 0:
            self.now += 1_000.0
        return self.now


def filled(clock: JumpingClock, *, capacity: int = 10) -> Expiring[str, int]:
    entries: Expiring[str, int] = Expiring(capacity, 10.0, clock=clock)
    entries.put("a", 1)
    entries.put("b", 2)
    return entries


@pytest.mark.parametrize("look", range(1, 9))
def test_an_entry_that_ends_while_it_is_looked_for_is_there_or_is_not(look: int) -> None:
    clock = JumpingClock()
    entries = filled(clock)
    clock.jump_at_look(look)
    assert entries.get("a") in (1, None)
    assert entries.get("b", "ended") in (2, "ended")


@pytest.mark.parametrize("look", range(1, 9))
def test_an_entry_that_ends_while_it_is_dropped_or_listed_is_no_error(look: int) -> None:
    clock = JumpingClock()
    entries = filled(clock)
    clock.jump_at_look(look)
    assert entries.values() in ([1, 2], [])
    entries.discard("a")
    entries.discard("a")
    assert "a" not in entries


def test_entries_end_with_their_lifetime_and_a_new_value_begins_a_new_one() -> None:
    clock = JumpingClock()
    entries = filled(clock)
    clock.now += 9.9
    entries.put("a", 3)
    clock.now += 0.1
    assert (entries.get("a"), entries.get("b")) == (3, None)
    assert ("a" in entries, "b" in entries) == (True, False)
    assert entries.values() == [3]


def test_no_more_is_kept_than_there_is_space_for() -> None:
    entries = filled(JumpingClock(), capacity=2)
    entries.put("c", 3)
    assert len(entries) == 2
    assert entries.get("a") is None


def test_no_other_module_keeps_what_expires_where_it_can_be_looked_at_twice() -> None:
    """``key in cache`` and then ``cache[key]`` is a race with the clock."""
    folder = Path(gateway.__file__).parent
    users = {
        str(path.relative_to(folder))
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "cachetools"
        for name in node.names
        if name.name in ("TTLCache", "TLRUCache")
    }
    assert users == {"expiring.py"}
