"""Destinations taken apart, and one pattern including another."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth.patterns import Kind, Pattern, includes, parse, words


@pytest.mark.parametrize(
    ("destination", "pattern"),
    [
        ("/topic/news.#", Pattern(Kind.TOPIC, None, ("news", "#"))),
        ("/queue/orders", Pattern(Kind.QUEUE, None, ("orders",))),
        ("/queue/a%2Fb.c", Pattern(Kind.QUEUE, None, ("a/b", "c"))),
        ("/queue/주문", Pattern(Kind.QUEUE, None, ("주문",))),
        ("/queue/with space", Pattern(Kind.QUEUE, None, ("with space",))),
        ("/amq/queue/orders.new", Pattern(Kind.AMQ_QUEUE, None, ("orders", "new"))),
        ("/reply-queue/amq.gen-1", Pattern(Kind.REPLY_QUEUE, None, ("amq", "gen-1"))),
        ("/reply-queue/a/b", Pattern(Kind.REPLY_QUEUE, None, ("a/b",))),
        ("/exchange/logs", Pattern(Kind.EXCHANGE, "logs", ())),
        ("/exchange/logs/", Pattern(Kind.EXCHANGE, "logs", ())),
        ("/exchange/lo%2Fgs/a.*", Pattern(Kind.EXCHANGE, "lo/gs", ("a", "*"))),
        ("/topic/.a..", Pattern(Kind.TOPIC, None, ("", "a", "", ""))),
        ("/queue/" + "q" * 255, Pattern(Kind.QUEUE, None, ("q" * 255,))),
    ],
)
def test_a_destination_is_read_as_rabbitmq_reads_it(destination: str, pattern: Pattern) -> None:
    assert parse(destination) == pattern


@pytest.mark.parametrize(
    ("destination", "why"),
    [
        ("", "must start with"),
        ("orders", "must start with"),
        ("queue/orders", "must start with"),
        ("//queue/orders", "must start with"),
        ("/queues/orders", "must start with"),
        ("/Queue/orders", "must start with"),
        ("/amq/topic/orders", "must start with"),
        ("/queue", "must start with"),
        ("/temp-queue/answers", "must start with"),
        ("/queue/", "has no name after its kind"),
        ("/topic/", "has no name after its kind"),
        ("/exchange/", "has no name after its kind"),
        ("/exchange//key", "has no name after its kind"),
        ("/queue/a/b", "a slash within a name"),
        ("/queue//b", "a slash within a name"),
        ("/topic/a/", "a slash within a name"),
        ("/exchange/a/b/c", "a slash within a name"),
        ("/queue/a%2fb", "the only escape is %2F"),
        ("/queue/a%252Fb", "the only escape is %2F"),
        ("/queue/%61", "the only escape is %2F"),
        ("/queue/%", "the only escape is %2F"),
        ("/queue/a\0", "cannot be printed"),
        ("/queue/a\nb", "cannot be printed"),
        ("/queue/\ud800", "cannot be printed"),
        ("/queue/" + "q" * 256, "255 bytes"),
        ("/queue/" + "주" * 86, "255 bytes"),
        ("/exchange/" + "x" * 256 + "/key", "255 bytes"),
    ],
)
def test_a_destination_that_rabbitmq_or_a_reader_may_take_otherwise_is_refused(
    destination: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        parse(destination)


@pytest.mark.parametrize(
    ("rule", "request_", "included"),
    [
        ("orders", "orders", True),
        ("orders", "Orders", False),
        ("orders", "orders.new", False),
        ("orders.new", "orders", False),
        ("orders.*", "orders.new", True),
        ("orders.*", "orders.*", True),
        ("orders.*", "orders", False),
        ("orders.*", "orders.new.big", False),
        ("orders.*", "orders.#", False),
        ("orders.new", "orders.*", False),
        ("*", "#", False),
        ("*.*", "#", False),
        ("#", "#", True),
        ("#", "*", True),
        ("#", "", True),
        ("*", "", False),
        ("", "", True),
        ("", "#", False),
        ("a.#", "a", True),
        ("a.#", "a.b.c", True),
        ("a.#", "a.#", True),
        ("a.#", "#", False),
        ("a.#", "*.b", False),
        ("#.z", "a.*.z", True),
        ("#.z", "a.z.y", False),
        ("#.z.#", "z", True),
        ("#.#", "", True),
        ("#.a.#.b", "a.x.a.b", True),
        ("#.a.#.b", "b.a", False),
        ("*.#", "a.#", True),
        ("*.#", "#.*", False),
        ("**", "a", False),
    ],
)
def test_a_rule_includes_a_request_only_whole(rule: str, request_: str, *, included: bool) -> None:
    assert includes(words(rule), words(request_)) is included


def matches(pattern: tuple[str, ...], key: tuple[str, ...]) -> bool:
    """The definition of AMQP 0-9-1, section 3.1.3.3, as plain as can be."""
    if not pattern:
        return not key
    if pattern[0] == "#":
        return any(matches(pattern[1:], key[n:]) for n in range(len(key) + 1))
    return bool(key) and pattern[0] in ("*", key[0]) and matches(pattern[1:], key[1:])


KEYS = [key for length in range(6) for key in product("abz", repeat=length)]
PATTERNS = st.lists(st.sampled_from("ab*#"), max_size=4).map(tuple)


@given(PATTERNS, PATTERNS)
def test_every_key_of_an_included_pattern_is_matched_by_the_rule(
    rule: tuple[str, ...], request_: tuple[str, ...]
) -> None:
    if includes(rule, request_):
        assert all(matches(rule, key) for key in KEYS if matches(request_, key))


@given(PATTERNS, st.lists(st.sampled_from("abz"), max_size=5).map(tuple))
def test_a_key_is_included_exactly_if_it_is_matched(
    rule: tuple[str, ...], key: tuple[str, ...]
) -> None:
    assert includes(rule, key) is matches(rule, key)


def test_a_long_hostile_pattern_is_judged_at_once() -> None:
    rule = words(".".join(["#", "a"] * 60))
    assert not includes(rule, words(".".join(["a"] * 126 + ["b"])))


def test_kinds_and_exchanges_are_kept_apart() -> None:
    assert not parse("/queue/#").includes(parse("/amq/queue/a"))
    assert not parse("/topic/#").includes(parse("/exchange/amq.topic/a"))
    assert not parse("/exchange/x/#").includes(parse("/exchange/y/a"))
    assert parse("/exchange/x/#").includes(parse("/exchange/x"))
    assert not parse("/exchange/x/a").includes(parse("/exchange/x"))
