"""The layout of the pages on a narrow phone, in plain and doubled text size (WCAG 1.4.4, 1.4.10).

The gateway is played (`screenshot_suite.stand_in`): a real one is rarely in most of these states.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page

from screenshot_suite.axe import grave_faults
from screenshot_suite.questions import KINDS
from screenshot_suite.states import STATES, open_page
from tests.acceptance.broker_view import wait_for

PHONE = {"width": 360, "height": 640}
#: What is left above a keyboard.
LOW = {"width": 360, "height": 340}
#: The same, held sideways.
SIDEWAYS = {"width": 667, "height": 160}
#: A screen of 1280 by 1024 at 400 % (WCAG 1.4.10).
ZOOMED = {"width": 320, "height": 256}
#: In these a participant or a host can write.
WRITING = {
    *("empty", "unsent", "refused", "offline", "outbox-full", "long-words", "thousand"),
    *("links", "right-to-left", "too-long", "hand-up", "host", "host-answers"),
    *(f"poll-{kind}" for kind in KINDS),
}

#: These are judged by axe, too; `scripts/screenshots --states` does it with all.
JUDGED = {
    *("unsent", "refused", "offline", "too-long", "hand-up", "sent-away", "kicked"),
    *("closed-under", "no-member", "links", "right-to-left", "rooms-none-host", "accounts"),
    *(f"poll-{kind}" for kind in KINDS),
}

#: Everything that can be seen, and is wider than its place or beside it.
_OUTSIDE = """() => {
    const wide = document.documentElement.clientWidth;
    const inSight = (node) => node.checkVisibility() && node.getClientRects().length > 0;
    const scrolls = (node) => node.closest(".table, .claps, .hidden-text, .sign, thead, caption");
    const found = [];
    for (const node of document.querySelectorAll("body, body *")) {
        if (!inSight(node) || scrolls(node)) continue;
        const { left, right, width } = node.getBoundingClientRect();
        if (width > 1 && (left < -1 || right > wide + 1)) {
            found.push(`${node.tagName}.${node.className}: ${left} to ${right}`);
        }
        const isField = node.matches("input, textarea, select, option, canvas");
        if (!isField && width > 1 && node.scrollWidth > Math.ceil(width) + 1) {
            found.push(`${node.tagName}.${node.className}: ${node.scrollWidth} in ${width}`);
        }
    }
    return found;
}"""

#: Text of ten letters and more in a column of less than three.
_SLIVERS = """() => {
    const found = [];
    for (const node of document.querySelectorAll("body *")) {
        const own = [...node.childNodes].filter(({ nodeType }) => nodeType === Node.TEXT_NODE);
        const text = own.map(({ data }) => data.trim()).join("");
        if (text.length < 10 || !node.checkVisibility()) continue;
        if (node.closest(".hidden-text, option, thead, caption, style, script, noscript")) continue;
        const { width } = node.getBoundingClientRect();
        if (width < 3 * Number.parseFloat(getComputedStyle(node).fontSize)) {
            found.push(`${node.tagName}.${node.className}: ${text.slice(0, 20)} in ${width}`);
        }
    }
    return found;
}"""


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(
        viewport=PHONE,  # type: ignore[arg-type]
        locale="en-US",
        is_mobile=True,
        has_touch=True,
        reduced_motion="reduce",
    )
    yield context
    context.close()


def _enlarge(page: Page) -> None:
    page.evaluate("document.documentElement.style.fontSize = '200%'")


def _box(page: Page, selector: str) -> dict[str, Any]:
    box = page.locator(selector).bounding_box()
    assert box is not None, selector
    return dict(box)


def _in_sight(page: Page, button: Locator) -> None:
    box, size = button.bounding_box(), page.viewport_size
    assert box is not None
    assert size is not None
    assert 0 <= box["x"] <= size["width"] - box["width"], box
    assert 0 <= box["y"] <= size["height"] - box["height"], box


def _sound(page: Page) -> None:
    # What draws itself anew, as a chart, does so a moment after its place has changed.
    for found in (_OUTSIDE, _SLIVERS):
        wait_for(lambda found=found: page.evaluate(found), wanted=lambda these: these == [])  # type: ignore[misc]


def _can_write(page: Page) -> None:
    """Send, hand and clap are in reach, and the field stands at the lower edge."""
    for button in page.locator(".composer .primary, .writing .act").all():
        _in_sight(page, button)
    writing, size = _box(page, ".writing"), page.viewport_size
    assert size is not None
    assert abs(writing["y"] + writing["height"] - size["height"]) <= 1


@pytest.mark.parametrize("state", STATES)
def test_nothing_is_out_of_reach_on_a_narrow_phone(
    context: BrowserContext, site: str, state: str
) -> None:
    page = open_page(context, site, STATES[state])
    # What people write is never cut, and has its own direction.
    assert page.locator("[maxlength]").count() == 0
    own = "[readonly], [type=password], [type=radio], [type=checkbox], [dir=auto]"
    assert page.locator(f":is(input, textarea):not({own})").count() == 0
    if state in JUDGED:
        assert grave_faults(page) == []
    for enlarge in (lambda page: None, _enlarge):
        enlarge(page)
        _sound(page)
        if state in WRITING:
            _can_write(page)
    page.evaluate("document.documentElement.style.fontSize = ''")
    page.set_viewport_size(ZOOMED)  # type: ignore[arg-type]
    _sound(page)
    if state in WRITING:
        _can_write(page)
        page.locator(".composer textarea").focus()
        for size in (LOW, SIDEWAYS):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            _can_write(page)


@pytest.mark.parametrize("state", ["unsent", "refused", "offline"])
def test_unconfirmed_publications_are_as_wide_as_confirmed_ones(
    context: BrowserContext, site: str, state: str
) -> None:
    page = open_page(context, site, STATES[state])
    column = _box(page, ".scroller")["width"]
    letters = page.locator(".unsent:has(.text)").all()
    assert letters
    for letter in letters:
        box = letter.bounding_box()
        assert box is not None
        assert box["width"] > column / 3
    # The long word is broken where the bubble ends, not before.
    box = letters[1].bounding_box()
    assert box is not None
    assert box["width"] > column / 2


def test_a_box_that_a_finger_cannot_scroll_back_is_not_scrolled_by_a_script(
    context: BrowserContext, site: str
) -> None:
    page = open_page(context, site, STATES["long-words"])
    assert (
        page.evaluate("""() => {
        const moved = [...document.querySelectorAll("html, body, body *")].filter((node) => {
            if (node.matches("input, textarea, select")) return false;
            node.scrollLeft = 50;
            return node.scrollLeft > 0;
        });
        return moved.map((node) => node.className);
    }""")
        == []
    )
