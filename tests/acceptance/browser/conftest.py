"""People with a browser: Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.acceptance.browser.visitor import Visitor
from tests.acceptance.gateway_process import GatewayProcess

Visit = Callable[..., Visitor]

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A page that Playwright makes up has no address, and so would be kept from loopback.
    "--disable-features=LocalNetworkAccessChecks",
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Not for the session: while Playwright runs, no other event loop can in this thread."""
    path = shutil.which("chromium")
    assert path is not None, "install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Opens a gateway's page in a browser of its own; `options` are those of Playwright's context.

    Fails the test if a page broke, or tried what its Content-Security-Policy forbids.
    """
    visitors: list[Visitor] = []

    def open_page(gateway: GatewayProcess, path: str = "/", **options: object) -> Visitor:
        context = chromium.new_context(**{"locale": "en-US", **options})  # type: ignore[arg-type]
        visitor = Visitor(context)
        visitors.append(visitor)
        visitor.page.goto(gateway.url + path)
        return visitor

    yield open_page
    for visitor in visitors:
        visitor.context.close()
    assert [fault for visitor in visitors for fault in visitor.faults] == []
