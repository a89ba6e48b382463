"""A page is one person's, and a session ends in every tab: real pages on a real gateway."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.browser.accounts import PASSWORD, add_accounts
from tests.acceptance.browser.conftest import Visit
from tests.acceptance.browser.visitor import PATIENCE, Visitor
from tests.acceptance.gateway_process import GatewayProcess


@pytest.fixture(scope="module", autouse=True)
def _accounts(gateway: GatewayProcess) -> None:
    add_accounts(gateway)


@pytest.fixture
def room(gateway: GatewayProcess) -> int:
    return gateway.room("hana", "paul", "mina")


@pytest.fixture
def paul(gateway: GatewayProcess, visit: Visit, room: int) -> Visitor:
    visitor = visit(gateway, f"/#/rooms/{room}")
    visitor.log_in("paul")
    visitor.is_connected()
    return visitor


def asks_to_log_in(page: Page) -> None:
    expect(page.get_by_role("button", name="Log in")).to_be_visible(timeout=PATIENCE)


def said(gateway: GatewayProcess, room: int) -> list[tuple[str, object]]:
    page = gateway.history(room, "hana")
    return [(each["sender"], each["body"]) for each in page["messages"]]


def test_nothing_is_sent_in_the_name_of_somebody_who_has_logged_in_in_another_tab(
    gateway: GatewayProcess, paul: Visitor, room: int
) -> None:
    # A page of another application, which tells no tab.
    login = {"user": "mina", "password": PASSWORD}
    assert paul.context.request.post(f"{gateway.url}/api/session", data=login).ok
    paul.say("in whose name?")
    notice = paul.page.get_by_role("alert")
    expect(notice).to_contain_text("mina is logged in to this browser now.", timeout=PATIENCE)
    assert said(gateway, room) == []
    paul.page.get_by_role("button", name="Go on as mina").click()
    mina = paul
    mina.is_connected()
    mina.say("in mine")
    mina.reads("in mine")
    assert said(gateway, room) == [("mina", "in mine")]


def test_logging_out_in_one_tab_ends_the_other_at_once(
    gateway: GatewayProcess, paul: Visitor, room: int
) -> None:
    other = paul.context.new_page()
    other.goto(gateway.url)
    other.get_by_role("button", name="Log out").click()
    for tab in (other, paul.page):
        asks_to_log_in(tab)
    expect(paul.page.get_by_role("log")).to_have_count(0)
    # In the other tab somebody else: the first one goes on as them, with nothing of Paul's.
    other.get_by_label("Name").fill("mina")
    other.get_by_label("Password").fill(PASSWORD)
    other.get_by_role("button", name="Log in").click()
    paul.is_connected()
    paul.say("by mina")
    paul.reads("by mina")
    assert said(gateway, room) == [("mina", "by mina")]


def test_a_user_ends_a_lost_devices_session(
    gateway: GatewayProcess, visit: Visit, paul: Visitor
) -> None:
    phone = visit(
        gateway,
        user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15"
        " (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    )
    phone.log_in("paul")
    paul.page.get_by_role("link", name="My rooms").click()
    paul.page.get_by_role("button", name="Where you are logged in").click()
    dialog = paul.page.get_by_role("dialog")
    expect(dialog.get_by_text("This browser")).to_be_visible(timeout=PATIENCE)
    dialog.get_by_role("button", name="Log out there: Safari · iPhone").click()
    expect(dialog.get_by_text("iPhone")).to_have_count(0, timeout=PATIENCE)
    asks_to_log_in(phone.page)
    dialog.get_by_role("button", name="Close").click()
    expect(paul.page.get_by_role("heading", name="My rooms")).to_be_visible()


def test_who_is_kept_out_reads_why_and_until_when(gateway: GatewayProcess, paul: Visitor) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    order = {"user": "paul", "until": until.isoformat(), "reason": "too loud"}
    status, _ = gateway.call("POST", "/api/admin/disconnect", order, user="root", roles=("admin",))
    assert status == 200
    expect(paul.page.get_by_text("too loud").first).to_be_visible(timeout=PATIENCE)
    # With the cookie of a session that has ended, and without one.
    paul.page.reload()
    expect(paul.page.get_by_text("too loud")).to_be_visible(timeout=PATIENCE)
    paul.context.clear_cookies()
    paul.page.reload()
    asks_to_log_in(paul.page)
    paul.page.get_by_label("Name").fill("paul")
    paul.page.get_by_label("Password").fill(PASSWORD)
    paul.page.get_by_role("button", name="Log in").click()
    expect(paul.page.get_by_role("alert")).to_contain_text("too loud", timeout=PATIENCE)
    gateway.call("POST", "/api/admin/admit", {"user": "paul"}, user="root", roles=("admin",))
    paul.log_in("paul")
    paul.is_connected()
