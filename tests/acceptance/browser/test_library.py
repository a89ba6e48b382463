"""The browser library, used as its documentation says, on a real gateway and cluster."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.acceptance.browser.example_page import ExamplePage
from tests.acceptance.gateway_process import GatewayProcess

Open = Callable[..., ExamplePage]


@pytest.fixture
def room(gateway: GatewayProcess) -> int:
    return gateway.room("hana", "paul", "mina")


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Open]:
    """Opens the example in a browser of its own; fails the test if a page broke."""
    pages: list[ExamplePage] = []

    def open_as(gateway: GatewayProcess, room: int, user: str, **options: float) -> ExamplePage:
        page = ExamplePage(chromium.new_context(), gateway, room, user, **options)
        pages.append(page)
        return page

    yield open_as
    for page in pages:
        page.context.close()
    assert [fault for page in pages for fault in page.faults] == []


def test_the_example_runs_as_it_stands_in_the_documentation(
    gateway: GatewayProcess, open_page: Open, room: int
) -> None:
    gateway.post(room, "hana", "before")
    paul, mina = (open_page(gateway, room, user) for user in ("paul", "mina"))
    for page in (paul, mina):
        page.is_in_state("connected")
    paul.say("<b>안녕</b>")
    mina.say("hello")
    for page in (paul, mina):
        page.reads("hana: before", "paul: <b>안녕</b>", "mina: hello")
