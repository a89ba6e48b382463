"""Findings of axe-core on a page (https://github.com/dequelabs/axe-core)."""

from pathlib import Path

from playwright.sync_api import Page

_AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
_GRAVE = ("serious", "critical")
_FADED = """() => Promise.allSettled(
    document.getAnimations()
        .filter(({ effect }) => effect.getComputedTiming().iterations !== Infinity)
        .map(({ finished }) => finished))"""


def grave_faults(page: Page) -> list[str]:
    """The serious and critical ones, and the elements that have them."""
    # Evaluated by the debugger, which no Content-Security-Policy stops.
    page.evaluate(_AXE.read_text())
    # What is still fading in has no colour yet. What fades for ever stays as it is.
    page.evaluate(_FADED)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{page.url}: {fault['id']}: {node['html']} {node['failureSummary']}"
        for fault in found["violations"]
        if fault["impact"] in _GRAVE
        for node in fault["nodes"]
    ]
