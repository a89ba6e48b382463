"""Routing keys and patterns, as RabbitMQ's topic exchanges match them."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.feeds.topic_table import _REMEMBERED, TopicTable, is_pattern, matches


@pytest.mark.parametrize(
    ("pattern", "key", "matching"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.b", "a", False),
        ("a", "a.b", False),
        ("*", "a", True),
        ("*", "", False),
        ("*", "a.b", False),
        ("a.*", "a.", True),
        ("a.*.c", "a.b.c", True),
        ("#", "", True),
        ("#", "a.b.c", True),
        ("a.#", "a", True),
        ("a.#", "b", False),
        ("#.c", "c", True),
        ("#.c", "a.b.c", True),
        ("#.c", "a.c.b", False),
        ("a.#.c", "a.c", True),
        ("a.#.c", "a.c.c", True),
        ("#.#", "", True),
        ("*.#", "", False),
        ("*.#", "a", True),
        ("#.*.#", "a.b", True),
        ("", "", True),
        ("", "a", False),
        ("a*", "ab", False),
        ("a*", "a*", True),
    ],
)
def test_words_and_wildcards(pattern: str, key: str, *, matching: bool) -> None:
    assert matches(pattern, key) is matching


words = st.lists(st.sampled_from(["a", "b", "*", "#"]), max_size=6).map(".".join)
keys = st.lists(st.sampled_from(["a", "b", "c"]), max_size=6).map(".".join)


@given(words, keys)
def test_it_is_what_a_regular_expression_finds(pattern: str, key: str) -> None:
    # Each word with a dot before it, so that "#" is any number of these.
    parts = {"*": r"\.[^.]*", "#": r"(\.[^.]*)*"}
    words = pattern.split(".") if pattern else []
    expression = "".join(parts.get(word, rf"\.{word}") for word in words)
    assert matches(pattern, key) is bool(re.fullmatch(expression, f".{key}" if key else ""))


def test_no_pattern_takes_long() -> None:
    began = time.process_time()
    assert not matches(".".join(["#", "a"] * 60), ".".join(["a"] * 100 + ["b"]))
    assert time.process_time() - began < 1


def test_a_key_concerns_its_own_and_every_pattern_that_matches_once() -> None:
    table: TopicTable[int] = TopicTable()
    table.add("a.b", 1)
    assert table.concerned("a.b") == (("a.b", 1),)
    assert table.concerned("a.c") == ()
    table.add("#", 3)
    assert table.concerned("a.b") == (("a.b", 1), ("#", 3))
    table.remove("#")
    table.add("a.*", 2)
    assert table.concerned("a.b") == (("a.b", 1), ("a.*", 2))
    table.add("#", 3)
    assert table.concerned("a.b") == (("a.b", 1), ("a.*", 2), ("#", 3))
    for _ in range(2):
        assert table.concerned("a.b") == (("a.b", 1), ("a.*", 2), ("#", 3))
        assert table.concerned("c") == (("#", 3),)
    # A producer may use a pattern as a routing key.
    assert table.concerned("#") == (("#", 3),)
    assert table.remove("a.*")
    assert not table.remove("a.*")
    assert table.concerned("a.b") == (("a.b", 1), ("#", 3))
    table.add("b", 4)
    assert table.concerned("b") == (("b", 4), ("#", 3))
    assert (len(table), set(table), table.values()) == (3, {"a.b", "#", "b"}, (1, 3, 4))
    assert ("b" in table, "c" in table, table.get("b"), table.get("c")) == (True, False, 4, None)
    with pytest.raises(ValueError, match="b is subscribed already"):
        table.add("b", 5)


def test_any_number_of_routing_keys_is_remembered_in_bounds() -> None:
    table: TopicTable[int] = TopicTable()
    table.add("#", 1)
    for n in range(_REMEMBERED):
        assert table.concerned(f"k.{n}") == (("#", 1),)
    assert len(table._found) == _REMEMBERED
    assert table.concerned("k.one more") == (("#", 1),)
    assert len(table._found) == 1


@pytest.mark.parametrize(
    ("key", "is_one"), [("a.b", False), ("a.*", True), ("#", True), ("", False), ("a*.b#", False)]
)
def test_only_whole_words_make_a_pattern(key: str, *, is_one: bool) -> None:
    assert is_pattern(key) is is_one
