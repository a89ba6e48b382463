"""The pages as axe-core judges them, in both colour schemes, on a phone and on a desk."""

import pytest
from playwright.sync_api import Page, expect

from screenshot_suite.axe import grave_faults
from tests.acceptance.browser.accounts import add_accounts
from tests.acceptance.browser.conftest import Visit
from tests.acceptance.browser.visitor import PATIENCE, Visitor
from tests.acceptance.gateway_process import GatewayProcess

SIZES = {"phone": {"width": 360, "height": 640}, "desk": {"width": 1280, "height": 800}}


@pytest.fixture(scope="module", autouse=True)
def _accounts(gateway: GatewayProcess) -> None:
    add_accounts(gateway)


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> dict[str, int]:
    return SIZES[str(request.param)]


def _sound(page: Page) -> None:
    assert grave_faults(page) == []


def _part(visitor: Visitor, name: str) -> None:
    """Choose a part of the desk, where one is shown at a time."""
    tab = visitor.page.get_by_role("navigation").get_by_role("button", name=name)
    if tab.is_visible():
        tab.click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(
    gateway: GatewayProcess, visit: Visit, scheme: str, size: dict[str, int]
) -> None:
    options = {"color_scheme": scheme, "viewport": size, "reduced_motion": "reduce"}
    hana = visit(gateway, **options)
    expect(hana.page.get_by_role("button", name="Log in")).to_be_visible()
    _sound(hana.page)
    hana.log_in("hana")
    room = hana.create_room("Leaves", "paul", "mina")
    paul = visit(gateway, room, **options)
    paul.log_in("paul")
    paul.is_connected()
    paul.say("Good morning!")
    paul.ask("Why green?")
    paul.page.get_by_role("button", name="Raise hand").click()
    _part(hana, "Questions")
    hana.has_questions("Why green?")
    _sound(hana.page)
    hana.page.get_by_role("button", name="Answer: Why green?").click()
    _sound(hana.page)
    hana.say("Chlorophyll.")
    paul.ask("Is that all?")
    _part(hana, "Poll")
    _sound(hana.page)
    hana.starts_poll("Why green?", "Chlorophyll", "Paint", "Algae")
    expect(paul.page.get_by_text("Tap your answer.")).to_be_visible(timeout=PATIENCE)
    _sound(paul.page)
    paul.votes("Paint")
    _sound(paul.page)
    hana.sees_votes("0 (0%)", "1 (100%)", "0 (0%)")
    _sound(hana.page)
    wall = hana.context.new_page()
    wall.goto(f"{gateway.url}{room}/projector")
    expect(wall.locator(".stage .count").nth(1)).to_have_text("1 (100%)", timeout=PATIENCE)
    _sound(wall)
    _part(hana, "People")
    expect(hana.page.get_by_role("button", name="Call on paul")).to_be_visible()
    _sound(hana.page)
    for name in ("Members", "Invite"):
        hana.page.get_by_role("button", name=name).click()
        _sound(hana.page)
        hana.page.get_by_role("button", name="Close").click()
    _part(hana, "Poll")
    hana.page.get_by_role("button", name="End the poll").click()
    paul.sees_votes("0 (0%)", "1 (100%)", "0 (0%)", part="Talk")
    paul.page.get_by_text("Host only", exact=True).click()
    paul.page.get_by_role("button", name="Clap").click()
    _sound(paul.page)
    _sound(wall)
    hana.page.get_by_role("link", name="My rooms").click()
    hana.page.get_by_role("button", name="New room").click()
    _sound(hana.page)
    hana.page.get_by_role("button", name="Close").click()
    _sound(hana.page)
