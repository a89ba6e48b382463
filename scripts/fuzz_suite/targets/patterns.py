"""Patterns of access rules: a rule that opens a request opens every name that the request means."""

import re

from gateway.auth.patterns import ANY_WORDS, ONE_WORD, Pattern, parse
from gateway.auth.patterns import includes as rule_includes

SEEDS = (
    b"/topic/a.*.#\n/topic/a.b.c",
    b"/exchange/e/a.#\n/exchange/e/a.*",
    b"/queue/a%2Fb\n/queue/a%2Fb",
    b"/reply-queue/a/b\n/topic/#.#.#",
)
_WORDS = ("a", "b", "")


def check(data: bytes) -> None:
    """No error but a ``ValueError``; what is included is matched, by another way of matching."""
    first, _, second = data.decode(errors="replace").partition("\n")
    try:
        rule, request = parse(first), parse(second)
    except ValueError:
        return
    assert rule_includes(request.words, request.words) or ANY_WORDS in request.words
    if not rule.includes(request):
        return
    for word in _WORDS:
        name = tuple(word if each == ONE_WORD else each for each in request.words)
        if ANY_WORDS not in name:
            assert _matches(rule, name), f"{rule} does not match {name}"


def _matches(rule: Pattern, name: tuple[str, ...]) -> bool:
    """Section 3.1.3.3 of AMQP 0-9-1, by a regular expression over words that end with a NUL."""
    parts = {ONE_WORD: "[^\0]*\0", ANY_WORDS: "(?:[^\0]*\0)*"}
    expression = "".join(parts.get(word, re.escape(word) + "\0") for word in rule.words)
    return re.fullmatch(expression, "".join(f"{word}\0" for word in name), re.DOTALL) is not None
