"""The page in a real browser, on a real gateway and cluster."""

import pytest
from playwright.sync_api import expect

from devenv.cluster import Cluster
from tests.acceptance.broker_view import consumers, wait_for, waiting
from tests.acceptance.browser.accounts import add_accounts
from tests.acceptance.browser.conftest import Visit
from tests.acceptance.browser.visitor import Visitor
from tests.acceptance.gateway_process import PREFIX, GatewayProcess


@pytest.fixture(scope="module", autouse=True)
def _accounts(gateway: GatewayProcess) -> None:
    add_accounts(gateway)


@pytest.fixture
def hana(gateway: GatewayProcess, visit: Visit) -> Visitor:
    """The host, logged in."""
    visitor = visit(gateway)
    visitor.log_in("hana")
    return visitor


@pytest.fixture
def room(hana: Visitor) -> str:
    """The path of a room with Hana in it, and Paul and Mina as participants."""
    return hana.create_room("Leaves", "paul", "mina")


@pytest.fixture
def paul(gateway: GatewayProcess, visit: Visit, room: str) -> Visitor:
    """A participant who came by the room's link."""
    visitor = visit(gateway, room)
    visitor.log_in("paul")
    visitor.is_connected()
    return visitor


def test_two_people_talk_in_a_room_that_one_of_them_made(hana: Visitor, paul: Visitor) -> None:
    hana.say("Everyone", "Good morning!")
    paul.reads("Everyone", "Good morning!")
    paul.say("Everyone", "안녕하세요")
    for visitor in (hana, paul):
        visitor.reads("Everyone", "Good morning!", "안녕하세요")


def test_a_room_is_entered_from_the_list(gateway: GatewayProcess, visit: Visit, room: str) -> None:
    mina = visit(gateway)
    mina.log_in("mina")
    mina.page.locator(f'a[href="{room.removeprefix("/")}"]').click()
    mina.is_connected()
    expect(mina.page.get_by_role("heading", name="Leaves")).to_be_visible()
    expect(mina.page.get_by_role("button", name="Members")).to_have_count(0)


def test_a_new_room_appears_in_the_list(gateway: GatewayProcess, visit: Visit) -> None:
    mina = visit(gateway)
    mina.log_in("mina")
    expect(mina.page.get_by_text("Loading…")).to_be_hidden()
    room = gateway.room("hana", "mina")
    # Coming back on line is one of the occasions to look again.
    mina.context.set_offline(True)
    mina.context.set_offline(False)
    expect(mina.page.locator(f'a[href="#/rooms/{room}"]')).to_be_visible()


def test_a_private_question_reaches_the_host_and_nobody_else(
    gateway: GatewayProcess, visit: Visit, hana: Visitor, paul: Visitor, room: str
) -> None:
    mina = visit(gateway, room)
    mina.log_in("mina")
    mina.is_connected()
    paul.say("Ask the host", "Why green?")
    hana.reads("Questions", "Why green?")
    paul.reads("Ask the host", "Why green?")
    hana.say("Everyone", "the end")
    mina.reads("Everyone", "the end")
    mina.reads("Ask the host")
    mina.page.reload()
    mina.is_connected()
    mina.reads("Ask the host")


def test_the_host_who_was_away_sees_the_queue_and_acknowledges_it(
    hana: Visitor, paul: Visitor, room: str, cluster_of_session: Cluster
) -> None:
    queue = f"{PREFIX}.private.{room.rpartition('/')[2]}"
    hana.page.goto("about:blank")
    wait_for(lambda: consumers(cluster_of_session, queue) == 0)
    for text in ("one", "two"):
        paul.say("Ask the host", text)
    paul.say("Everyone", "three")
    wait_for(lambda: waiting(cluster_of_session, queue) == 3)
    hana.page.go_back()
    hana.is_connected()
    hana.reads("Questions", "one", "two")
    hana.reads("Everyone", "three")
    wait_for(lambda: waiting(cluster_of_session, queue) == 0)
    # What was not acknowledged would go back into the queue when its consumer leaves.
    hana.page.goto("about:blank")
    wait_for(lambda: consumers(cluster_of_session, queue) == 0)
    assert waiting(cluster_of_session, queue) == 0


def test_a_reload_shows_everything_once(hana: Visitor, paul: Visitor) -> None:
    texts = [f"message {number}" for number in range(1, 8)]
    for number, text in enumerate(texts):
        (hana, paul)[number % 2].say("Everyone", text)
        hana.reads("Everyone", *texts[: number + 1])
    paul.say("Ask the host", "a question")
    hana.reads("Questions", "a question")
    for visitor in (hana, paul):
        visitor.page.reload()
        visitor.is_connected()
        visitor.reads("Everyone", *texts)
    hana.reads("Questions", "a question")
    paul.reads("Ask the host", "a question")


def test_markup_stays_text(gateway: GatewayProcess, visit: Visit) -> None:
    markup = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    hana = visit(gateway)
    hana.log_in("hana")
    room = hana.create_room(markup, "paul", "<b>eve</b>")
    paul = visit(gateway, room)
    paul.log_in("paul")
    paul.is_connected()
    hana.say("Everyone", markup)
    paul.reads("Everyone", markup)
    expect(paul.page.get_by_role("heading", name=markup)).to_be_visible()
    hana.page.get_by_role("button", name="Members").click()
    expect(hana.page.get_by_text("<b>eve</b>", exact=True)).to_be_visible()
    for visitor in (hana, paul):
        assert visitor.page.locator("img, b, body script").count() == 0


def test_other_json_than_text_is_shown_as_json(
    gateway: GatewayProcess, paul: Visitor, room: str
) -> None:
    gateway.post(int(room.rpartition("/")[2]), "hana", {"vote": 3}, type="vote")
    paul.reads("Everyone", '{"vote":3}')


def test_a_wrong_password_is_told(gateway: GatewayProcess, visit: Visit) -> None:
    stranger = visit(gateway)
    stranger.page.get_by_label("Name").fill("paul")
    stranger.page.get_by_label("Password").fill("wrong")
    stranger.page.get_by_role("button", name="Log in").click()
    expect(stranger.page.get_by_role("alert")).to_have_text("The name or the password is wrong.")


def test_after_logging_out_the_next_user_starts_anew(hana: Visitor, paul: Visitor) -> None:
    paul.page.get_by_role("link", name="My rooms").click()
    paul.page.get_by_role("button", name="Log out").click()
    paul.log_in("mina")
    expect(paul.page.get_by_text("mina", exact=True)).to_be_visible()


def test_who_is_removed_is_told_and_hears_no_more(
    gateway: GatewayProcess, visit: Visit, hana: Visitor, paul: Visitor, room: str
) -> None:
    mina = visit(gateway, room)
    mina.log_in("mina")
    mina.is_connected()
    hana.page.get_by_role("button", name="Members").click()
    hana.page.get_by_role("button", name="Remove paul").click()
    expect(paul.page.get_by_text("Access ended: you are no longer in this room")).to_be_visible()
    hana.page.get_by_role("button", name="Close").click()
    hana.say("Everyone", "among us")
    mina.reads("Everyone", "among us")
    paul.reads("Everyone")


def test_a_host_adds_a_member_and_is_told_what_cannot_be(hana: Visitor, room: str) -> None:
    hana.page.get_by_role("button", name="Members").click()
    dialog = hana.page.get_by_role("dialog")
    dialog.get_by_label("User name").fill("eve")
    dialog.get_by_label("User name").press("Enter")
    expect(dialog.get_by_role("button", name="Remove eve")).to_be_visible()
    dialog.get_by_role("button", name="Remove hana").click()
    expect(dialog.get_by_role("alert")).to_have_text("a room needs a host")


def test_a_message_outlives_the_end_of_the_session(hana: Visitor, paul: Visitor) -> None:
    paul.context.clear_cookies()
    paul.say("Everyone", "still here")
    expect(paul.page.get_by_text("Your session has ended.")).to_be_visible()
    paul.log_in("paul")
    for visitor in (hana, paul):
        visitor.reads("Everyone", "still here")


def test_a_room_of_others_shows_nothing(gateway: GatewayProcess, visit: Visit) -> None:
    paul = visit(gateway, f"/#/rooms/{gateway.room('hana', 'mina')}")
    paul.log_in("paul")
    expect(paul.page.get_by_text("you may not do this here")).to_be_visible()
    expect(paul.page.get_by_role("textbox")).to_have_count(0)


def test_a_korean_browser_gets_korean(gateway: GatewayProcess, visit: Visit) -> None:
    page = visit(gateway, locale="ko-KR").page
    expect(page.get_by_role("button", name="로그인")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ko")


def test_a_phone_shows_one_part_at_a_time_and_nothing_is_cut_off(
    gateway: GatewayProcess, visit: Visit, hana: Visitor, room: str
) -> None:
    phone = {"viewport": {"width": 360, "height": 640}, "is_mobile": True, "has_touch": True}
    paul = visit(gateway, room, **phone)
    paul.log_in("paul")
    paul.is_connected()
    hana.say("Everyone", "long" * 200)
    paul.reads("Everyone", "long" * 200)
    expect(paul.part("Ask the host")).to_be_hidden()
    paul.page.get_by_role("button", name="Ask the host").click()
    expect(paul.part("Everyone")).to_be_hidden()
    hana.say("Everyone", "news")
    expect(paul.page.get_by_role("button", name="Everyone 1 new")).to_be_visible()
    paul.part("Ask the host").get_by_role("textbox").fill("Why?")
    paul.part("Ask the host").get_by_role("button", name="Send").click()
    paul.reads("Ask the host", "Why?")
    paul.page.get_by_role("button", name="Everyone").click()
    expect(paul.page.get_by_text("news", exact=True)).to_be_in_viewport()
    assert paul.page.evaluate("document.documentElement.scrollWidth") == 360
