"""The pages in a real browser, on a real gateway and cluster."""

import pytest
from playwright.sync_api import expect

from devenv.cluster import Cluster
from tests.acceptance.broker_view import consumers, wait_for, waiting
from tests.acceptance.browser.accounts import add_accounts
from tests.acceptance.browser.conftest import Visit
from tests.acceptance.browser.visitor import PATIENCE, Visitor
from tests.acceptance.gateway_process import PREFIX, GatewayProcess

PHONE = {"viewport": {"width": 360, "height": 640}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module", autouse=True)
def _accounts(gateway: GatewayProcess) -> None:
    add_accounts(gateway)


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


@pytest.fixture
def mina(gateway: GatewayProcess, visit: Visit, room: str) -> Visitor:
    """The other one."""
    visitor = visit(gateway, room)
    visitor.log_in("mina")
    visitor.is_connected()
    return visitor


def _number(room: str) -> int:
    return int(room.rpartition("/")[2])


def test_two_people_talk_in_a_room_that_one_of_them_made(hana: Visitor, paul: Visitor) -> None:
    hana.say("Good morning!")
    paul.reads("Good morning!")
    paul.say("안녕하세요")
    for visitor in (hana, paul):
        visitor.reads("Good morning!", "안녕하세요")


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
    hana: Visitor, paul: Visitor, mina: Visitor
) -> None:
    paul.ask("Why green?")
    hana.has_questions("Why green?")
    paul.reads("Why green?")
    hana.say("the end")
    mina.reads("the end")
    mina.page.reload()
    mina.is_connected()
    mina.reads("the end")
    paul.page.reload()
    paul.is_connected()
    paul.reads("Why green?", "the end")


def test_an_answer_goes_to_all_with_the_question_and_without_who_asked(
    hana: Visitor, paul: Visitor, mina: Visitor
) -> None:
    paul.ask("Why green?")
    hana.page.get_by_role("button", name="Answer: Why green?").click()
    expect(hana.page.get_by_text("Everyone sees it with your answer")).to_be_visible()
    hana.say("Chlorophyll.")
    mina.reads("Chlorophyll.")
    expect(mina.page.locator("blockquote")).to_have_text("Why green?")
    expect(mina.page.get_by_text("paul", exact=True)).to_have_count(0)
    hana.has_questions()
    hana.say("And now the next page.")
    mina.reads("Chlorophyll.", "And now the next page.")
    expect(mina.page.locator("blockquote")).to_have_count(1)


def test_a_question_that_is_done_with_is_gone_for_every_host(hana: Visitor, paul: Visitor) -> None:
    paul.ask("Why green?")
    paul.ask("Why now?")
    hana.page.get_by_role("button", name="Done: Why green?").click()
    hana.has_questions("Why now?")
    hana.page.reload()
    hana.is_connected()
    hana.has_questions("Why now?")


def test_the_host_who_was_away_sees_the_queue_and_acknowledges_it(
    hana: Visitor, paul: Visitor, room: str, cluster_of_session: Cluster
) -> None:
    queue = f"{PREFIX}.private.{_number(room)}"
    hana.page.goto("about:blank")
    wait_for(lambda: consumers(cluster_of_session, queue) == 0)
    for text in ("one", "two"):
        paul.ask(text)
    paul.say("three")
    wait_for(lambda: waiting(cluster_of_session, queue) >= 3)
    hana.page.go_back()
    hana.is_connected()
    hana.has_questions("one", "two")
    hana.reads("three")
    wait_for(lambda: waiting(cluster_of_session, queue) == 0)
    # What was not acknowledged would go back into the queue when its consumer leaves.
    hana.page.goto("about:blank")
    wait_for(lambda: consumers(cluster_of_session, queue) == 0)
    # That she has left is told to the room by an instant message, which soon expires here.
    wait_for(lambda: waiting(cluster_of_session, queue) == 0)


def test_a_poll_is_answered_by_one_tap_and_only_the_host_sees_how_it_stands(
    hana: Visitor, paul: Visitor, mina: Visitor
) -> None:
    hana.starts_poll("Why green?", "Chlorophyll", "Paint", "Algae")
    paul.votes("Paint")
    mina.votes("Chlorophyll")
    hana.sees_votes("1 (50%)", "1 (50%)", "0 (0%)")
    paul.votes("Chlorophyll")
    hana.sees_votes("2 (100%)", "0 (0%)", "0 (0%)")
    for visitor in (paul, mina):
        expect(visitor.page.locator(".count:visible")).to_have_count(0)
    paul.page.reload()
    paul.is_connected()
    expect(paul.page.get_by_role("button", name="Chlorophyll")).to_have_attribute(
        "aria-pressed", "true"
    )
    hana.page.get_by_role("button", name="End the poll").click()
    for visitor in (paul, mina):
        visitor.sees_votes("2 (100%)", "0 (0%)", "0 (0%)", part="Talk")
        expect(visitor.page.get_by_role("button", name="Paint")).to_be_hidden()
        expect(visitor.page.get_by_text("· your answer")).to_have_count(1)
    hana.page.reload()
    hana.is_connected()
    hana.sees_votes("2 (100%)", "0 (0%)", "0 (0%)")


def test_a_poll_that_a_participant_forges_is_nothing(
    gateway: GatewayProcess, hana: Visitor, paul: Visitor, room: str
) -> None:
    forged = {"question": "Who is silly?", "options": ["mina", "hana"]}
    assert gateway.post(_number(room), "mina", forged, type="poll")[0] == 403
    status, answer = gateway.post(_number(room), "mina", forged, keep="poll:p")
    assert (status, answer["code"]) == (403, "key_refused")
    # A key that is hers to write, and one that a host would have had to write.
    for fields in ({"type": "message"}, {"type": "note", "keep": "answer:p"}):
        assert gateway.post(_number(room), "mina", forged, **fields)[0] == 201
    hana.say("after it")
    paul.reads("after it")
    expect(paul.page.get_by_text("Who is silly?")).to_have_count(0)


def test_a_hand_goes_up_is_called_on_and_goes_up_again(hana: Visitor, paul: Visitor) -> None:
    hand = paul.page.get_by_role("button", name="Raise hand")
    hand.click()
    expect(hand).to_have_attribute("aria-pressed", "true")
    hana.page.get_by_role("button", name="Call on paul").click(timeout=PATIENCE)
    expect(hand).to_have_attribute("aria-pressed", "false", timeout=PATIENCE)
    hand.click()
    expect(hana.page.get_by_role("button", name="Call on paul")).to_be_visible(timeout=PATIENCE)
    hand.click()
    expect(hana.page.get_by_role("button", name="Call on paul")).to_have_count(0, timeout=PATIENCE)


def test_a_clap_is_seen_at_once_and_by_everyone(hana: Visitor, paul: Visitor) -> None:
    paul.page.get_by_role("button", name="Clap").click()
    for visitor in (paul, hana):
        expect(visitor.page.locator(".claps .count")).to_have_text("1")


def test_everybody_sees_who_is_there(hana: Visitor, paul: Visitor, mina: Visitor) -> None:
    for visitor in (hana, paul, mina):
        expect(visitor.page.get_by_text("3 here", exact=True)).to_be_visible(timeout=PATIENCE)
    expect(hana.part("People").locator(".present li")).to_have_text(["hanaHost", "mina", "paul"])
    mina.page.get_by_role("link", name="My rooms").click()
    for visitor in (hana, paul):
        expect(visitor.page.get_by_text("2 here", exact=True)).to_be_visible(timeout=PATIENCE)
    expect(hana.part("People").locator(".present li")).to_have_text(["hanaHost", "paul"])


def test_the_projector_shows_poll_and_messages_but_no_question(
    gateway: GatewayProcess, visit: Visit, hana: Visitor, paul: Visitor
) -> None:
    with hana.context.expect_page() as opened:
        hana.page.get_by_role("link", name="Projector").click()
    wall = opened.value
    expect(wall.get_by_text("Join with your phone")).to_be_visible(timeout=PATIENCE)
    paul.ask("a secret question")
    paul.say("hello")
    hana.starts_poll("Why green?", "Chlorophyll", "Paint")
    paul.votes("Paint")
    expect(wall.locator(".stage .count")).to_have_text(["0 (0%)", "1 (100%)"], timeout=PATIENCE)
    expect(wall.get_by_text("hello")).to_be_visible()
    expect(wall.get_by_text("a secret question")).to_have_count(0)


def test_a_reload_shows_everything_once(hana: Visitor, paul: Visitor) -> None:
    texts = [f"message {number}" for number in range(1, 8)]
    for number, text in enumerate(texts):
        (hana, paul)[number % 2].say(text)
        hana.reads(*texts[: number + 1])
    paul.ask("a question")
    hana.has_questions("a question")
    for visitor in (hana, paul):
        visitor.page.reload()
        visitor.is_connected()
    hana.reads(*texts)
    hana.has_questions("a question")
    paul.reads(*texts, "a question")


def test_markup_stays_text(gateway: GatewayProcess, visit: Visit) -> None:
    markup = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    hana = visit(gateway)
    hana.log_in("hana")
    room = hana.create_room(markup, "paul", "<b>eve</b>")
    paul = visit(gateway, room)
    paul.log_in("paul")
    paul.is_connected()
    hana.say(markup)
    paul.reads(markup)
    gateway.post(_number(room), "<b>eve</b>", markup)
    gateway.post(_number(room), "<b>eve</b>", markup, type="question", audience="private")
    for visitor in (hana, paul):
        visitor.reads(markup, markup)
        expect(visitor.page.get_by_text("<b>eve</b>", exact=True).first).to_be_visible()
    hana.has_questions(markup)
    hana.starts_poll(markup, markup, "b")
    paul.votes(markup)
    expect(paul.page.get_by_role("heading", name=markup).first).to_be_visible()
    hana.page.get_by_role("button", name="Members").click()
    expect(hana.page.get_by_role("dialog").get_by_text("<b>eve</b>", exact=True)).to_be_visible()
    for visitor in (hana, paul):
        assert visitor.page.locator("img, b, body script").count() == 0


def test_messages_of_unknown_type_or_shape_disturb_nobody(
    gateway: GatewayProcess, hana: Visitor, paul: Visitor, room: str
) -> None:
    for fields in (
        {"type": "dance", "body": {"step": 1}},
        {"type": "poll", "body": {"question": 7}},
        {"type": "message", "body": [1, 2]},
        {"type": "vote", "body": None, "audience": "private"},
    ):
        assert gateway.post(_number(room), "hana", **fields)[0] == 201
    hana.say("after them")
    paul.reads("after them")


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


def test_a_removed_member_is_told_and_hears_no_more(
    hana: Visitor, paul: Visitor, mina: Visitor
) -> None:
    hana.page.get_by_role("button", name="Members").click()
    hana.page.get_by_role("button", name="Remove paul").click()
    hana.page.get_by_role("button", name="Really? Press again").click()
    expect(paul.page.get_by_text("You are no longer in this room.")).to_be_visible()
    hana.page.get_by_role("button", name="Close").click()
    hana.say("among us")
    mina.reads("among us")
    paul.reads()
    paul.page.get_by_role("link", name="My rooms").click()
    expect(paul.page.get_by_role("heading", name="My rooms")).to_be_visible()


def test_a_host_adds_a_member_and_is_told_what_cannot_be(hana: Visitor, room: str) -> None:
    hana.page.get_by_role("button", name="Members").click()
    dialog = hana.page.get_by_role("dialog")
    dialog.get_by_label("User name").fill("eve")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_role("button", name="Remove eve")).to_be_visible()
    dialog.get_by_role("button", name="Remove hana").click()
    dialog.get_by_role("button", name="Really? Press again").click()
    expect(dialog.get_by_role("alert")).to_have_text("a room needs a host")
    # Several at once are looked at first.
    dialog.get_by_label("User name").fill("aa, bb, eve")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_text("is there already")).to_be_visible()
    dialog.get_by_role("button", name="Add 2").click()
    expect(dialog.get_by_role("button", name="Remove bb")).to_be_visible()


def test_a_room_is_shared_by_its_address(gateway: GatewayProcess, hana: Visitor, room: str) -> None:
    hana.page.get_by_role("button", name="Invite").click()
    dialog = hana.page.get_by_role("dialog")
    expect(dialog.get_by_label("Link to the room")).to_have_value(gateway.url + room)
    expect(dialog.get_by_role("img", name="QR code")).to_be_visible()


def test_a_message_outlives_the_end_of_the_session(hana: Visitor, paul: Visitor) -> None:
    paul.context.clear_cookies()
    paul.say("still here")
    expect(paul.page.get_by_text("Your session has ended.")).to_be_visible()
    paul.log_in("paul")
    for visitor in (hana, paul):
        visitor.reads("still here")


def test_a_room_of_others_shows_nothing(gateway: GatewayProcess, visit: Visit) -> None:
    paul = visit(gateway, f"/#/rooms/{gateway.room('hana', 'mina')}")
    paul.log_in("paul")
    expect(paul.page.get_by_role("alert")).to_have_text(
        "You are not in this room. Ask its host to add you by your name “paul”."
    )
    expect(paul.page.get_by_role("textbox")).to_have_count(0)


def test_a_closed_room_can_be_read(gateway: GatewayProcess, hana: Visitor, paul: Visitor) -> None:
    paul.say("the last word")
    hana.reads("the last word")
    room = int(paul.page.url.rpartition("/")[2])
    assert gateway.call("DELETE", f"/api/rooms/{room}", user="hana")[0] == 204
    for visitor in (hana, paul):
        visitor.page.reload()
        expect(visitor.page.get_by_text("This room is closed.")).to_be_visible(timeout=PATIENCE)
        visitor.reads("the last word")
        expect(visitor.page.get_by_role("textbox")).to_have_count(0)


def test_a_korean_browser_gets_korean(gateway: GatewayProcess, visit: Visit) -> None:
    page = visit(gateway, locale="ko-KR").page
    expect(page.get_by_role("button", name="로그인")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ko")


def test_on_a_phone_nothing_is_cut_off_and_news_do_not_move_what_one_reads(
    gateway: GatewayProcess, visit: Visit, hana: Visitor, room: str
) -> None:
    paul = visit(gateway, room, **PHONE)
    paul.log_in("paul")
    paul.is_connected()
    texts = ["long" * 200, *(f"message {number}" for number in range(12))]
    for text in texts:
        gateway.post(_number(room), "hana", text)
    paul.reads(*texts)
    first = paul.page.get_by_text("message 0", exact=True)
    first.scroll_into_view_if_needed()
    place = first.bounding_box()
    hana.say("news")
    paul.reads(*texts, "news")
    assert first.bounding_box() == place
    paul.page.get_by_role("button", name="New messages").click()
    expect(paul.page.get_by_text("news", exact=True)).to_be_in_viewport()
    assert paul.page.evaluate("document.documentElement.scrollWidth") == 360


def test_on_a_phone_a_host_sees_one_part_at_a_time(
    gateway: GatewayProcess, visit: Visit, paul: Visitor, room: str
) -> None:
    hana = visit(gateway, room, **PHONE)
    hana.log_in("hana")
    hana.is_connected()
    expect(hana.part("Questions")).to_be_hidden()
    paul.ask("Why?")
    hana.page.get_by_role("button", name="1 Questions").click()
    hana.has_questions("Why?")
    expect(hana.part("Talk")).to_be_hidden()
    hana.page.get_by_role("button", name="Answer: Why?").click()
    expect(hana.part("Talk").get_by_role("textbox")).to_be_focused()
    assert hana.page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_poll_of_a_host_who_was_removed_stays_and_that_of_a_new_host_is_seen(
    gateway: GatewayProcess, hana: Visitor, paul: Visitor, room: str
) -> None:
    members = f"/api/rooms/{_number(room)}/members/mina"
    for number, question in enumerate(("Why green?", "And why blue?")):
        assert gateway.call("PUT", members, {"role": "host"}, user="hana")[0] in (200, 201, 204)
        body = {"question": question, "options": ["Chlorophyll", "Sky"]}
        for key, kept in ((f"poll:{number}", body), (f"voting:{number}", {"until": None})):
            fields = {"type": key.partition(":")[0], "keep": key}
            assert gateway.post(_number(room), "mina", kept, **fields)[0] == 201
        # She was no host when the page was opened, and is none when it is opened again.
        expect(paul.part("Poll").get_by_role("heading")).to_have_text(question)
        assert gateway.call("DELETE", members, user="hana")[0] == 204
        paul.page.reload()
        paul.is_connected()
        expect(paul.part("Poll").get_by_role("heading")).to_have_text(question)
        hana.page.reload()
        hana.is_connected()
        expect(hana.part("Poll").get_by_role("heading", name=question)).to_be_visible()
        assert paul.page.get_by_text("A poll began").count() == number + 1


def test_a_member_removed_and_added_again_need_not_reload_the_page(
    gateway: GatewayProcess, visit: Visit, hana: Visitor, room: str
) -> None:
    members = f"/api/rooms/{_number(room)}/members/paul"
    assert gateway.call("DELETE", members, user="hana")[0] == 204
    paul = visit(gateway, room)
    paul.log_in("paul")
    expect(paul.page.get_by_text("You are not in this room.")).to_be_visible()
    for text in ("Welcome", "Welcome back"):
        assert gateway.call("PUT", members, {"role": "participant"}, user="hana")[0] < 300
        hana.say(text)
        expect(paul.page.get_by_text(text, exact=True)).to_be_visible(timeout=PATIENCE)
        paul.say(f"{text} to you")
        expect(hana.page.get_by_text(f"{text} to you", exact=True)).to_be_visible()
        assert gateway.call("DELETE", members, user="hana")[0] == 204
        expect(paul.page.get_by_text("You are no longer in this room.")).to_be_visible()
