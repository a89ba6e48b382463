"""The dashboard in a real browser, over real gateways and a real cluster."""

import re

import pytest
from playwright.sync_api import Page, expect

from screenshot_suite.axe import grave_faults
from tests.acceptance.broker_view import wait_for
from tests.acceptance.browser.accounts import PASSWORD, add_accounts
from tests.acceptance.browser.conftest import Connect, Visit, Watch
from tests.acceptance.browser.dashboard import SOON, add_admin, close, confirm, row, rows
from tests.acceptance.conftest import connected
from tests.acceptance.gateway_process import PREFIX, GatewayProcess

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module", autouse=True)
def _accounts(gateway: GatewayProcess) -> None:
    add_accounts(gateway)
    add_admin(gateway)
    add_admin(gateway, "olga", role="observer")


def journal(gateway: GatewayProcess) -> set[tuple[str, str | None]]:
    """The kinds of what the journal has, and whom it concerns. It is written every two seconds."""
    status, found = gateway.call("GET", "/api/admin/events", user="root", roles=("admin",))
    assert status == 200, found
    return {(each["kind"], each.get("user")) for each in found["events"]}


def test_it_shows_the_people_of_a_room_and_ends_one_of_their_connections(
    gateway: GatewayProcess, visit: Visit, watch: Watch
) -> None:
    room = gateway.room("hana", "paul", "mina")
    people = {}
    for user in ("hana", "paul", "mina"):
        people[user] = visit(gateway, f"/#/rooms/{room}")
        people[user].log_in(user)
        people[user].is_connected()
    page = watch(gateway)
    page.get_by_role("searchbox", name="Search").fill(str(room))
    expect(rows(page, "Connections")).to_have_count(3, timeout=SOON)
    for user in people:
        expect(row(page, "Connections", user)).to_contain_text(str(room))
    row(page, "Connections", "paul").get_by_role("button", name="End: paul").click()
    expect(page.get_by_role("dialog")).to_contain_text("End this connection of paul?")
    expect(confirm(page, "End the connection")).to_contain_text("Connections ended: 1.")
    close(page)
    expect(people["paul"].page.get_by_text("an administrator has ended")).to_be_visible()
    expect(rows(page, "Connections")).to_have_count(2, timeout=SOON)
    expect(row(page, "Last events", "end a connection").first).to_contain_text("root")
    expect(row(page, "Last events", "ended by an admin (4003)").first).to_contain_text("paul")
    for user in ("hana", "mina"):
        people[user].is_connected()
    # "Why was she cut off?"
    form = page.locator("form.journal")
    form.get_by_label("User").fill("paul")
    wait_for(lambda: {("close", "paul"), ("action", None)} <= journal(gateway))
    form.get_by_role("button", name="Search").click()
    ended = row(page, "Journal", "ended by an admin (4003)")
    expect(ended).to_contain_text("an admin has ended this connection", timeout=SOON)
    ended.get_by_role("link", name=f"Room {room}").click()
    expect(page.get_by_role("heading", name=f"Room {room}")).to_be_focused()
    expect(rows(page, "Connections")).to_have_count(2, timeout=SOON)
    expect(page.locator(".facts")).to_contain_text("hana")
    expect(row(page, "Journal", "ended by an admin")).to_have_count(1)
    row(page, "Journal", "paul").first.get_by_role("link", name="connection").click()
    expect(row(page, "Journal", "end a connection")).to_contain_text("by root")
    expect(row(page, "Journal", "came in")).to_contain_text("paul")
    page.get_by_role("link", name="Back to the overview").click()
    expect(page.get_by_role("heading", name="Broker nodes")).to_be_visible()
    _, said = gateway.post(room, "mina", "nobody's business")
    page.locator("form.trace").get_by_label("Message").fill(said["id"])
    page.get_by_role("button", name="Find a message's way").click()
    expect(page.get_by_role("heading", name=f"Message {said['id']}")).to_be_focused()
    facts = page.locator(".facts")
    expect(facts).to_contain_text(f"public.{room}/{said['seq']}")
    expect(facts).to_contain_text("has confirmed it")
    expect(facts).to_contain_text("delivered here; 2 follow")
    expect(page.get_by_text("nobody's business")).to_have_count(0)
    page.get_by_role("link", name=f"public.{room}/{said['seq']}").click()
    expect(page.get_by_role("heading", name=f"Room {room}")).to_be_focused()
    page.get_by_role("link", name="Back to the overview").click()


def test_an_observer_sees_everything_and_has_no_button_for_an_order(
    gateway: GatewayProcess, visit: Visit, clients: Connect
) -> None:
    clients(gateway, "mina")
    page = visit(gateway, "/admin").page
    page.locator("input[autocomplete=username]").fill("olga")
    page.locator("input[type=password]").fill(PASSWORD)
    page.locator("button.primary").click()
    expect(row(page, "Connections", "mina")).to_be_visible(timeout=SOON)
    expect(row(page, "Broker nodes", "r1")).to_be_visible(timeout=SOON)
    expect(page.locator(".table button:not(.sort)")).to_have_count(0)
    expect(page.get_by_role("link", name="Accounts")).to_be_hidden()


def test_a_node_that_is_drained_is_left_and_is_used_again_when_it_is_resumed(
    gateway: GatewayProcess, watch: Watch, clients: Connect
) -> None:
    room = gateway.room("hana")
    clients(gateway, "hana", f"/queue/{PREFIX}.private.{room}")
    page = watch(gateway)
    page.get_by_role("searchbox", name="Search").fill(str(room))
    through = row(page, "Connections", "hana").locator("td[data-label=Through]")
    expect(through).to_have_text(re.compile("^r[123]$"), timeout=SOON)
    node = through.inner_text()
    page.get_by_role("button", name=f"Drain: {node}").click()
    done = confirm(page, "Drain the node")
    expect(done).to_contain_text(f"{node} is draining on")
    close(page)
    expect(row(page, "Broker nodes", node)).to_contain_text("draining", timeout=SOON)
    others = "".join(sorted({"r1", "r2", "r3"} - {node}))
    expect(through).to_have_text(re.compile(f"^(?:{others[:2]}|{others[2:]})$"), timeout=SOON)
    page.get_by_role("button", name=f"Resume: {node}").click()
    expect(confirm(page, "Resume the node")).to_contain_text(f"{node} is in use again on")
    close(page)
    expect(row(page, "Broker nodes", node)).to_contain_text("available", timeout=SOON)


def test_search_sort_and_pages_work_by_keyboard(
    gateway: GatewayProcess, watch: Watch, clients: Connect
) -> None:
    for number in range(27):
        clients(gateway, f"pupil-{number:02}")
    page = watch(gateway)
    page.get_by_role("searchbox", name="Search").press_sequentially("pupil-")
    expect(page.get_by_text(re.compile(r"^27 of "))).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="User", exact=True).press("Enter")
    page.get_by_role("button", name="User", exact=True).press("Enter")
    expect(rows(page, "Connections").first).to_contain_text("pupil-00", timeout=SOON)
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("User")
    page.get_by_role("button", name="Next").press("Enter")
    expect(rows(page, "Connections").first).to_contain_text("pupil-25", timeout=SOON)
    expect(rows(page, "Connections")).to_have_count(2)
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.get_by_role("button", name="Previous").press("Enter")
    expect(rows(page, "Connections").first).to_contain_text("pupil-00", timeout=SOON)


def test_a_user_who_is_no_admin_sees_nothing_and_is_told(
    gateway: GatewayProcess, visit: Visit
) -> None:
    page = visit(gateway, "/admin").page
    page.locator("input[autocomplete=username]").fill("hana")
    page.locator("input[type=password]").fill(PASSWORD)
    page.locator("button.primary").click()
    expect(page.get_by_text("The dashboard is for admins")).to_be_visible()
    expect(page.get_by_role("table")).to_have_count(0)


def test_a_korean_browser_gets_korean(gateway: GatewayProcess, watch: Watch) -> None:
    page = watch(gateway, locale="ko-KR")
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    expect(page.get_by_role("heading", name="브로커 노드")).to_be_visible()


def test_an_admin_makes_the_accounts_of_a_class_and_a_pupil_logs_in_with_her_slip(
    gateway: GatewayProcess, visit: Visit, watch: Watch
) -> None:
    page = watch(gateway, viewport={"width": 360, "height": 740})
    page.get_by_role("link", name="Accounts").click()
    # As Korean Excel saves it.
    content = "아이디,이름,권한\nsora,박소라,\ntaeo,김태오,교사\npaul,,\nsora,,\n".encode("cp949")
    page.locator("input[type=file]").set_input_files(
        {"name": "class.csv", "mimeType": "text/csv", "buffer": content}
    )
    expect(
        page.get_by_text("New: 2 · exist already: 1 · twice: 1 · cannot be made: 0")
    ).to_be_visible()
    _is_sound(page, 360)
    page.get_by_role("button", name="Make accounts: 2").click()
    slips = page.get_by_role("region", name="Log-in slips").get_by_role("article")
    expect(slips).to_have_count(2, timeout=SOON)
    expect(slips.nth(1)).to_contain_text("김태오")
    _is_sound(page, 360)
    password = slips.first.locator("b").nth(1).inner_text()
    sora = visit(gateway)
    sora.log_in("sora", password)
    expect(sora.page.get_by_role("heading", name="My rooms")).to_be_visible()
    page.get_by_role("searchbox", name="Search").fill("소라")
    expect(rows(page, "All accounts")).to_have_count(1)
    expect(row(page, "All accounts", "sora")).to_contain_text("1 device")
    page.get_by_role("button", name="Disable: sora").click()
    expect(confirm(page, "Disable")).to_contain_text("Disabled.")
    close(page)
    expect(sora.page.get_by_text("an administrator keeps you out until")).to_be_visible(
        timeout=SOON
    )
    page.get_by_role("button", name="Enable: sora").click()
    expect(confirm(page, "Enable")).to_contain_text("Enabled.")
    close(page)
    page.get_by_role("button", name="New password: sora").click()
    expect(confirm(page, "New password")).to_contain_text("on a slip")
    close(page)
    expect(slips).to_have_count(2)
    sora.page.reload()
    sora.log_in("sora", slips.first.locator("b").nth(1).inner_text())
    expect(sora.page.get_by_role("heading", name="My rooms")).to_be_visible()
    expect(page.locator("textarea")).not_to_have_value("")
    page.get_by_role("button", name="Done, forget the passwords").click()
    expect(page.locator("textarea")).to_have_value("")
    expect(slips).to_have_count(0)


_BROKEN_PILLS = """() => [...document.querySelectorAll(".kind, .state")]
    .filter((pill) => { const range = document.createRange(); range.selectNodeContents(pill);
                        return range.getClientRects().length > 1; })
    .map((pill) => pill.textContent)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_cut_off_and_axe_finds_nothing_grave(
    gateway: GatewayProcess,
    watch: Watch,
    clients: Connect,
    width: int,
    scheme: str,
) -> None:
    user = "a-user-with-a-rather-long-name-that-has-to-fit-somewhere@school.example"
    room = gateway.room("hana", user)
    with connected(gateway, user) as client:
        client.subscribe(f"/topic/{PREFIX}.public.{room}")
    clients(gateway, user)
    page = watch(gateway, viewport={"width": width, "height": 800}, color_scheme=scheme)
    expect(rows(page, "Connections").first).to_be_visible(timeout=SOON)
    expect(page.locator(".chart canvas")).to_have_count(6)
    # A long reason beside it does not break the word in a pill.
    assert gateway.call("GET", "/api/admin/connections")[0] == 401
    expect(page.locator(".kind[data-kind=refusal]").first).to_be_visible(timeout=SOON)
    assert page.evaluate(_BROKEN_PILLS) == []
    page.get_by_role("button", name=re.compile("^Drain: r1")).click()
    _is_sound(page, width)
    page.keyboard.press("Escape")
    _is_sound(page, width)
    tile = page.locator(".tile").first
    tile.locator(".u-over").hover()
    expect(tile.locator(".soft")).to_have_text(re.compile(r"^\d\d:\d\d: "))
    page.get_by_label("Time range").select_option(label="The last hour")
    expect(page.get_by_role("img", name="Connections, The last hour")).to_be_visible()
    wait_for(lambda: ("close", user) in journal(gateway))
    page.evaluate(f"location.hash = '#/room/{room}'")
    expect(page.get_by_role("heading", name=f"Room {room}")).to_be_visible()
    expect(page.locator(".facts dd").first).to_be_visible(timeout=SOON)
    expect(rows(page, "Journal").first).to_be_visible(timeout=SOON)
    _is_sound(page, width)


def _is_sound(page: Page, width: int) -> None:
    """Nothing is wider than the screen, and axe finds nothing grave."""
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert grave_faults(page) == []
