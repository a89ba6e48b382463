"""Conditions under which people look at a page: large text, zoom, a keyboard, forced colours."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from playwright.sync_api import Page

from screenshot_suite.view import View


@dataclass(frozen=True)
class Condition:
    """One condition. `apply` changes a page that is open in the plain one; `fits`: views in which
    it differs from the plain one or from the same condition elsewhere."""

    apply: Callable[[Page], None]
    fits: Callable[[View], bool]


def _plain(page: Page) -> None:
    pass


def _enlarge(page: Page) -> None:
    page.evaluate("document.documentElement.style.fontSize = '200%'")


def _zoom(page: Page) -> None:
    # A screen of 1280 by 1024 at 400 % has as many CSS pixels (WCAG 1.4.10).
    page.set_viewport_size({"width": 320, "height": 256})


def _sideways(page: Page) -> None:
    # What a keyboard leaves of a phone that is held sideways.
    page.set_viewport_size({"width": 740, "height": 170})
    field = page.locator(".composer textarea")
    if field.count() and field.is_visible():
        field.focus()


def _force_colours(page: Page) -> None:
    page.emulate_media(forced_colors="active")


def _everywhere(view: View) -> bool:
    return True


def _once(view: View) -> bool:
    return (view.scheme, view.size) == ("light", "phone")


#: By the end of a picture's name.
CONDITIONS: Final = {
    "": Condition(_plain, _everywhere),
    "-large": Condition(_enlarge, _everywhere),
    "-zoomed": Condition(_zoom, _once),
    "-sideways": Condition(_sideways, _once),
    "-forced-colours": Condition(_force_colours, lambda view: view.scheme == "light"),
}
