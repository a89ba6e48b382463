"""The kinds of questions, each with long words: open, and an earlier one with its result."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from playwright.sync_api import Page, expect

from screenshot_suite.stand_in import StandIn

#: Plays a state, and leaves the page in it.
Play = Callable[[StandIn, Page], None]

_LONG = "Donaudampfschifffahrtsgesells"
_LONG_KOREAN = "가나다라마바사아자차카타파하거너더러머버서어저처커터퍼허고노"
_OPTIONS = ["Chlorophyll", _LONG * 3, _LONG_KOREAN * 2, "Paint"]

#: By kind: its fields, its totals, and what a participant gives to answer it.
_KINDS: Final[Mapping[str, tuple[dict[str, Any], list[Any], str]]] = {
    "several": ({"options": _OPTIONS}, [12, 3, 7, 0], ".option"),
    "text": (
        {},
        ["They breathe.", _LONG * 4, "https://example.org/leaves", _LONG_KOREAN * 2],
        ".ballot textarea",
    ),
    "cloud": ({}, [["leaf", 12], [_LONG, 7], ["빛", 5], ["sun", 1], ["water", 1]], ".words input"),
    "scale": ({"from": 0, "to": 10, "low": _LONG, "high": _LONG_KOREAN}, [*range(11)], ".step"),
    "ranking": ({"options": _OPTIONS}, [31, 24, 11, 8], ".ranking li"),
}


def asked(kind: str, enter: Play) -> Play:
    """Plays a question of the kind; ``enter`` opens the room."""
    fields, totals, answering = _KINDS[kind]

    def ask(stand_in: StandIn, page: Page) -> None:
        for id, is_open in (("before", False), ("now", True)):
            body = {"kind": kind, "question": f"{_LONG * 2}?", "named": is_open, **fields}
            stand_in.poll(id, body, is_open=is_open)
            if not is_open:
                answers = {"poll": id, "totals": totals, "answers": 23}
                stand_in.say("hana", body | answers, type="poll-closed", keep=f"result:{id}")
        stand_in.say("mina", "Which one is it?")
        enter(stand_in, page)
        expect(page.locator(answering).first).to_be_attached()
        expect(page.locator(".entry.result")).to_have_count(1)

    return ask


#: All kinds but the first one, of which a poll is unless it says so.
KINDS: Final = tuple(_KINDS)
