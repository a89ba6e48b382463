"""People with a browser: Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from devenv import vendor
from screenshot_suite import stand_in
from tests.acceptance.browser.accounts import PASSWORD
from tests.acceptance.browser.dashboard import SOON
from tests.acceptance.browser.visitor import PATIENCE, Visitor
from tests.acceptance.conftest import connected
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.stomp_client import StompClient

# Playwright's own patience is that of a quiet machine.
expect.set_options(timeout=PATIENCE)

Visit = Callable[..., Visitor]
Watch = Callable[..., Page]
Connect = Callable[..., StompClient]

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


@pytest.fixture(scope="session")
def presence() -> bool:
    """As in production: the pages show it."""
    return True


@pytest.fixture(scope="session", autouse=True)
def _built_pages() -> None:
    """The pages as users get them, and not those of an earlier day."""
    vendor.ensure(print)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Not for the session: while Playwright runs, no other event loop can in this thread."""
    path = shutil.which("chromium")
    assert path is not None, "install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The pages without a gateway, for a stand-in to play it."""
    with stand_in.site() as url:
        yield url


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


@pytest.fixture
def hana(gateway: GatewayProcess, visit: Visit) -> Visitor:
    """The host, logged in."""
    visitor = visit(gateway)
    visitor.log_in("hana")
    return visitor


@pytest.fixture
def watch(visit: Visit) -> Watch:
    """The dashboard of a gateway, with the admin logged in."""

    def open_dashboard(gateway: GatewayProcess, **options: object) -> Page:
        page = visit(gateway, "/admin", **options).page
        page.locator("input[autocomplete=username]").fill("root")
        page.locator("input[type=password]").fill(PASSWORD)
        page.locator("button.primary").click()
        expect(page.locator(".line[data-state=on]")).to_be_visible(timeout=SOON)
        return page

    return open_dashboard


@pytest.fixture
def clients() -> Iterator[Connect]:
    """Opens a STOMP connection of a user at a gateway, subscribed to destinations; closed with the
    test."""
    with ExitStack() as stack:

        def connect(gateway: GatewayProcess, user: str, *destinations: str) -> StompClient:
            client = stack.enter_context(connected(gateway, user))
            for destination in destinations:
                client.subscribe(destination)
            return client

        yield connect
