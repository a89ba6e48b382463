"""The pages in unusual states: a full outbox, a reload, another login, a composition. The gateway
is played by `screenshot_suite.stand_in`."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from screenshot_suite import states
from screenshot_suite.stand_in import ROOM, StandIn

#: Milliseconds for what a page asks for every few seconds.
SOON = 15_000


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(locale="en-US")
    yield context
    context.close()


@pytest.fixture
def stand_in(context: BrowserContext, site: str) -> StandIn:
    stand_in = StandIn(site)
    stand_in.present = [states.member("hana", "host"), states.member("paul")]
    stand_in.serve(context)
    return stand_in


@pytest.fixture
def page(context: BrowserContext, stand_in: StandIn) -> Page:
    page = context.new_page()
    states.enter(stand_in, page)
    return page


def _field(page: Page) -> str:
    return page.locator(".composer textarea").input_value()


def _posts(stand_in: StandIn) -> int:
    return stand_in.asked.count(f"POST /api/rooms/{ROOM}/messages")


def _tells_to_look(request: Request) -> bool:
    return '"look"' in (request.post_data or "")


def _press(page: Page, **fields: object) -> None:
    """Enter, as a browser would tell it; whatever is fired comes at one moment."""
    page.locator(".composer textarea").evaluate(
        """(field, { ends, ...fields }) => {
            const ended = new CompositionEvent("compositionend", { bubbles: true });
            if (ends) field.dispatchEvent(ended);
            const key = { key: "Enter", keyCode: 13, bubbles: true, cancelable: true, ...fields };
            field.dispatchEvent(new KeyboardEvent("keydown", key));
            field.dispatchEvent(new KeyboardEvent("keyup", { key: "Enter", bubbles: true }));
        }""",
        fields,
    )


def test_an_enter_that_ends_a_composition_sends_nothing(page: Page, stand_in: StandIn) -> None:
    page.locator(".composer textarea").fill("안녕하세요")
    _press(page, isComposing=True)
    _press(page, keyCode=229)
    _press(page, ends=True, keyCode=229)
    _press(page, ends=True)
    assert _field(page) == "안녕하세요"
    page.locator(".composer textarea").press("Enter")
    expect(page.locator(".said .text")).to_have_text("안녕하세요")
    assert _posts(stand_in) == 1


def test_typed_text_outlives_a_reload_and_a_visit_to_the_rooms_page(page: Page) -> None:
    page.get_by_text("Host only", exact=True).click()
    page.locator(".composer textarea").fill("half a sent")
    page.get_by_role("link", name="My rooms").click()
    expect(page.get_by_role("heading", name="My rooms")).to_be_visible()
    page.go_back()
    expect(page.locator(".composer textarea")).to_have_value("half a sent")
    page.reload()
    expect(page.locator(".composer textarea")).to_have_value("half a sent")
    # Nothing private becomes public.
    expect(page.get_by_role("radio", name="Host only")).to_be_checked()
    page.locator(".composer textarea").press("Enter")
    expect(page.locator(".question .text")).to_have_text("half a sent")
    page.reload()
    expect(page.locator(".question .text")).to_have_text("half a sent")
    assert _field(page) == ""


def test_a_poll_that_is_being_made_outlives_a_reload(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    states.poll_form(stand_in, page)
    page.get_by_label("Choice B", exact=True).fill("Paint")
    page.reload()
    expect(page.get_by_label("Choice B", exact=True)).to_have_value("Paint")
    expect(page.locator(".poll-form .options input")).to_have_count(8)
    expect(page.locator(".poll-form input").first).to_have_value(states.LONG_WORD)


def test_a_room_that_is_being_made_outlives_a_reload(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    states.new_room(stand_in, page)
    page.reload()
    page.get_by_role("button", name="New room").click()
    expect(page.get_by_label("Participants")).to_have_value(states.LONG_NAME)


def test_the_message_that_is_one_too_many_stays_in_the_field(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    states.outbox_full(stand_in, page)
    expect(page.get_by_role("alert")).to_have_text(
        "Not kept: too much waits to be sent. Your text stays here."
    )
    assert _field(page) == states.LONG_WORD * 2
    expect(page.locator(".unsent")).to_have_count(states.MOST_UNSENT)
    page.locator(".act:has(.icon-hand-palm)").click()
    expect(page.locator(".notice")).to_contain_text("Do it again when the line is back.")


def test_a_refused_message_says_why_and_can_be_edited_or_discarded(
    page: Page, stand_in: StandIn
) -> None:
    stand_in.post = "refused"
    page.get_by_text("Host only", exact=True).click()
    page.locator(".composer textarea").fill("first")
    page.locator(".composer textarea").press("Enter")
    expect(page.get_by_text("Not sent: this is too long")).to_be_visible()
    page.get_by_text("Everyone", exact=True).click()
    page.get_by_role("button", name="Edit").click()
    assert _field(page) == "first"
    expect(page.get_by_role("radio", name="Host only")).to_be_checked()
    expect(page.locator(".unsent")).to_have_count(0)
    page.locator(".composer textarea").press("Enter")
    page.get_by_role("button", name="Discard").click()
    expect(page.locator(".unsent")).to_have_count(0)
    assert _field(page) == ""


def test_a_text_that_is_too_long_is_neither_cut_nor_sent(page: Page, stand_in: StandIn) -> None:
    text = "x" * 12_000
    page.locator(".composer textarea").fill(text)
    page.locator(".composer textarea").press("Enter")
    expect(page.get_by_role("alert").filter(has_text="Too long")).to_have_text(
        "Too long: 12,000 characters, and 10,000 at most. Shorten it, or send it in parts."
    )
    page.reload()
    expect(page.locator(".composer textarea")).to_have_value(text)
    assert _posts(stand_in) == 0
    page.locator(".composer textarea").fill("x" * 10_000)
    expect(page.get_by_text("10,000 of 10,000 characters")).to_be_visible()
    page.locator(".composer textarea").press("Enter")
    expect(page.locator(".said .text")).to_have_text("x" * 10_000)


def test_no_field_of_a_page_cuts_what_is_pasted(context: BrowserContext, stand_in: StandIn) -> None:
    page = context.new_page()
    states.poll_form(stand_in, page)
    question = page.get_by_role("textbox", name="Question")
    question.fill("q" * 400)
    page.get_by_label("Choice A", exact=True).fill("a")
    assert page.locator("[maxlength]").count() == 0
    expect(page.get_by_text("Too long: 400 characters, and 300 at most.")).to_be_visible()
    page.get_by_role("button", name="Start the poll").click()
    expect(question).to_have_value("q" * 400)
    assert _posts(stand_in) == 0
    page.reload()
    expect(question).to_have_value("q" * 400)


def test_links_lead_where_they_say_and_nowhere_else(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    states.links(stand_in, page)
    link = page.locator(".entry a").first
    expect(link).to_have_text(states.LINK)
    for name, value in {
        "href": states.LINK,
        "target": "_blank",
        "rel": "noopener noreferrer",
    }.items():
        expect(link).to_have_attribute(name, value)
    context.route("https://example.org/**", lambda route: route.fulfill(body="leaves"))
    with context.expect_page() as opened:
        link.click()
    assert opened.value.evaluate("[opener, document.referrer]") == [None, ""]


_WITHOUT_DIRECTION = """() => {
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const wrong = [];
    for (let node; (node = walk.nextNode()); ) {
        const { parentElement: place, data } = node;
        const isTheirs = /[\\u0590-\\u06ff]/.test(data) && !data.includes("\\u2068");
        const isApart = place.closest("[dir=auto], bdi") !== null;
        if (isTheirs && !isApart) wrong.push(place.outerHTML);
    }
    return wrong;
}"""


@pytest.mark.parametrize("name", ["host-approves", "dashboard", "accounts"])
def test_what_somebody_wrote_keeps_its_own_direction_for_hosts_and_admins(
    context: BrowserContext, stand_in: StandIn, name: str
) -> None:
    page = context.new_page()
    states.STATES[name](stand_in, page)
    expect(page.get_by_text(states.ARABIC).first).to_be_attached()
    assert page.evaluate(_WITHOUT_DIRECTION) == []


def test_everything_that_somebody_wrote_keeps_its_own_direction(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    states.right_to_left(stand_in, page)
    assert page.evaluate(_WITHOUT_DIRECTION) == []
    # A text within a sentence of the page's own stands apart from it.
    expect(page.locator(".entry.poll").last).to_contain_text(f"\u2068{states.ARABIC}\u2069")
    # Each paragraph has its own direction.
    text = page.locator(".said .text").first
    assert text.evaluate("(text) => getComputedStyle(text).unicodeBidi") == "plaintext"
    fields = page.locator("textarea:not([dir=auto]), input:not([type=radio], [dir=auto])")
    assert fields.count() == 0


def test_a_room_that_is_closed_under_somebody_leaves_them_what_they_wrote(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    states.closed_under(stand_in, page)
    expect(page.get_by_text("This room is closed. You can still read it.")).to_be_visible()
    expect(page.get_by_text("Good morning!")).to_be_visible()
    expect(page.locator(".composer")).to_have_count(0)
    expect(page.locator(".quote")).to_have_text("I was about to ask why")
    page.get_by_role("button", name="Discard").click()
    page.reload()
    expect(page.get_by_text("Good morning!")).to_be_visible()
    expect(page.locator(".quote")).to_have_count(0)


def test_the_page_of_a_closed_room_asks_now_and_then_whether_it_was_opened_again(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    page.clock.install()
    states.closed(stand_in, page)
    room = f"GET /api/rooms/{ROOM}"
    before = stand_in.asked.count(room)
    page.clock.run_for(11_000)
    assert stand_in.asked.count(room) == before
    with page.expect_response(f"**/api/rooms/{ROOM}"):
        page.clock.run_for(7_500)
    stand_in.is_closed = False
    with page.expect_response(f"**/api/rooms/{ROOM}"):
        page.clock.run_for(25_000)
    expect(page.locator("[data-status=live]")).to_be_attached()
    expect(page.locator(".composer")).to_be_visible()


def test_the_wall_of_a_closed_room_invites_nobody(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    stand_in.code = "BCDFGH"
    states.projector_closed(stand_in, page)
    stage = page.locator(".stage")
    expect(stage).to_have_text("This room is closed.")
    expect(page.locator(".code, .letters, .address:visible")).to_have_count(0)
    # Nor does it go on asking for a code.
    assert f"GET /api/rooms/{ROOM}/code" not in stand_in.asked


def test_the_wall_shows_one_way_in_and_that_is_the_code_if_there_is_one(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 800, "height": 600})
    states.projector_code(stand_in, page)
    expect(page.locator(".class-code")).to_contain_text("BCD FGH")
    expect(page.locator(".bar .address")).to_be_hidden()
    # Dark on dark, no phone would read it.
    page.emulate_media(color_scheme="dark", forced_colors="active")
    code = page.locator(".class-code .code")
    expect(code).to_have_css("background-color", "rgb(255, 255, 255)")


def test_a_room_without_a_code_is_no_error_in_the_console(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    with page.expect_response(f"**/api/rooms/{ROOM}/code"):
        states.remains(stand_in, page)
    assert said == []


def test_a_guest_of_a_closed_room_reads_that_and_is_offered_no_way_back(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    states.guest_closed(stand_in, page)
    expect(page.get_by_role("alert")).to_have_text(
        "The host has closed the room. Your visit has ended."
    )
    expect(page.get_by_role("link")).to_have_text(["Come in with another class code"])


def test_a_prepared_question_that_starts_is_in_sight_and_has_the_focus(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 360, "height": 640})
    stand_in.user, stand_in.role, stand_in.roles = "hana", "host", ("host",)
    fields = {"type": "poll-set", "audience": "private"}
    stand_in.say("hana", {"title": "Leaves"}, keep="set:1", **fields)
    for place in range(8):
        asked = {"question": f"Question {place}?", "options": ["yes", "no"], "place": place}
        stand_in.say("hana", asked, keep=f"set:1:{place}", **fields)
    states.enter(stand_in, page)
    page.get_by_role("navigation").get_by_role("button", name="Poll").click()
    page.get_by_role("button", name="Start: Question 7?").click()
    expect(page.get_by_role("heading", name="Question 7?")).to_be_in_viewport()
    expect(page.locator(".poll-panel .acts").first).to_be_focused()


def test_a_host_closes_the_room_after_reading_what_it_means(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    states.remains(stand_in, page)
    page.get_by_role("button", name="Close the room").click()
    dialog = page.get_by_role("dialog", name="Close this room?")
    expect(dialog).to_contain_text("Members can still read everything.")
    dialog.get_by_role("button", name="Close", exact=True).click()
    assert f"DELETE /api/rooms/{ROOM}" not in stand_in.asked
    page.get_by_role("button", name="Close the room").click()
    dialog.get_by_role("button", name="Close the room").click()
    expect(page.get_by_text("This room is closed. You can still read it.")).to_be_visible()
    page.get_by_role("button", name="Room", exact=True).click()
    expect(page.get_by_role("button", name="Close the room")).to_be_hidden()
    page.get_by_role("button", name="Open the room again").click()
    expect(page.locator("[data-status=live]")).to_be_attached()
    assert f"POST /api/rooms/{ROOM}/open" in stand_in.asked


def test_a_host_renames_the_room_and_others_read_it_at_once(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    states.remains(stand_in, page)
    page.get_by_label("Title").fill("Roots")
    rename = page.get_by_role("button", name="Rename the room")
    rename.click()
    expect(page.locator("h1")).to_have_text("Roots")
    expect(page.get_by_text("It has its new title.")).to_be_visible()
    expect(rename).to_be_enabled()
    expect(rename).to_be_focused()
    told = {"seq": None, "sender": "hana", "role": "host", "type": "room-renamed"}
    stand_in.tell({**told, "body": {"title": "Stems"}})
    expect(page.locator("h1")).to_have_text("Stems")


def test_a_host_opens_a_new_room_with_the_same_people(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    states.remains(stand_in, page)
    page.get_by_role("button", name="New room with the same people").click()
    page.wait_for_url(f"**/#/rooms/{ROOM + 1}")
    assert f"POST /api/rooms/{ROOM}/copy" in stand_in.asked


def test_a_host_keeps_order_from_the_page(context: BrowserContext, stand_in: StandIn) -> None:
    page = context.new_page()
    stand_in.user, stand_in.role, stand_in.roles = "hana", "host", ("host",)
    stand_in.present.append(states.member("다은"))
    states.enter(stand_in, page)
    page.get_by_text("Order", exact=True).click()
    page.get_by_label("Participants write to everyone").uncheck()
    page.get_by_label("Each of them writes").select_option("30")
    # What is ordered stands there at once; participants are told to look when it is stored.
    with page.expect_request(_tells_to_look):
        page.get_by_role("button", name="Mute 다은").click()
    expect(page.get_by_role("button", name="Let 다은 speak")).to_be_visible()
    kept = {one["keep"]: one for one in (*stand_in.public, *stand_in.private)}
    assert kept["settings"]["body"] == {"chat": False, "slow": 30, "approve": False}
    assert (kept["muted"]["of"], kept["muted"]["audience"]) == ("다은", "private")
    # After a reload it stands as it was ordered, and can be taken back.
    page.reload()
    page.get_by_text("Order", exact=True).click()
    expect(page.get_by_label("Participants write to everyone")).not_to_be_checked()
    expect(page.get_by_label("Each of them writes")).to_have_value("30")
    with page.expect_request(_tells_to_look):
        page.get_by_role("button", name="Let 다은 speak").click()
    expect(page.get_by_text("Nobody is muted.")).to_be_visible()
    assert stand_in.private[-1]["body"] is None


def test_a_participant_sees_at_once_what_is_ordered(page: Page, stand_in: StandIn) -> None:
    page.locator(".composer textarea").fill("half a sent")
    stand_in.say("hana", {"chat": False}, type="settings", keep="settings")
    expect(page.get_by_text("Only hosts write to everyone now.")).to_be_visible()
    expect(page.get_by_role("radio", name="Everyone")).to_be_disabled()
    expect(page.get_by_role("radio", name="Host only")).to_be_checked()
    assert _field(page) == "half a sent"
    stand_in.say("hana", {"chat": True, "slow": 30}, type="settings", keep="settings")
    expect(page.get_by_text("You can write to everyone once in 30 seconds")).to_be_visible()
    expect(page.get_by_role("radio", name="Everyone")).to_be_enabled()
    # What stands there may be for the hosts by now, so its author decides.
    expect(page.get_by_text("You can write to everyone again")).to_be_visible()
    expect(page.get_by_role("radio", name="Host only")).to_be_checked()
    stand_in.say("hana", None, type="settings", keep="settings")
    page.get_by_text("Everyone", exact=True).click()
    expect(page.locator(".ordered")).to_be_empty()


def test_whoever_was_turned_to_the_hosts_is_turned_back_with_the_talk(
    page: Page, stand_in: StandIn
) -> None:
    everyone = page.get_by_role("radio", name="Everyone")
    for body, is_on in (({"chat": False}, False), (None, True), ({"chat": False}, False)):
        stand_in.say("hana", body, type="settings", keep="settings")
        expect(everyone).to_be_checked(checked=is_on)
    # A question that was asked meanwhile changes nothing about that, but whoever may be about to
    # write the next one is turned back only when they have left the field.
    field = page.locator(".composer textarea")
    field.fill("why?")
    field.press("Enter")
    stand_in.say("hana", None, type="settings", keep="settings")
    expect(page.get_by_text("You can write to everyone again")).to_be_visible()
    expect(everyone).not_to_be_checked()
    field.blur()
    expect(everyone).to_be_checked()
    # Whoever has chosen the hosts stays with them.
    page.get_by_text("Host only", exact=True).click()
    for body in ({"chat": False}, None):
        stand_in.say("hana", body, type="settings", keep="settings")
        expect(everyone).to_be_enabled(enabled=body is None)
    expect(everyone).not_to_be_checked()


def test_a_muted_participant_reads_so_at_once_and_when_it_has_ended(
    page: Page, stand_in: StandIn
) -> None:
    stand_in.poll("open", {"question": "Why?", "options": ["yes", "no"]})
    page.locator(".composer textarea").fill("half a sent")
    mutes = {"type": "muted", "audience": "private", "keep": "muted", "of": "paul"}
    look: dict[str, Any] = {"type": "look", "seq": None, "body": {}}
    controls = [
        page.get_by_role("radio", name="Everyone"),
        page.get_by_role("button", name="Send", exact=True),
        page.get_by_role("button", name="Raise hand"),
    ]
    for body, words in (({"user": "paul"}, "The host has muted you"), (None, "Tap your answer.")):
        stand_in.say("hana", body, **mutes)
        # Nothing private is sent to participants: a message to all tells them to look.
        stand_in.tell({**look, "sender": "hana", "role": "host"})
        expect(page.locator(".ballot .note")).to_contain_text(words)
        for control in controls:
            expect(control).to_be_enabled(enabled=body is None)
        expect(page.locator(".ordered")).to_contain_text(words if body else "")
        if body:
            page.locator(".composer textarea").press("Enter")
            page.locator(".option").first.click(force=True)
    assert _field(page) == "half a sent"
    assert _posts(stand_in) == 0
    # After a reload it is known from the start.
    stand_in.say("hana", {"user": "paul"}, **mutes)
    page.reload()
    expect(page.locator(".ordered")).to_contain_text("The host has muted you")
    # So it is for whoever comes back from the list of rooms.
    page.get_by_role("link", name="My rooms").click()
    expect(page.get_by_role("heading", name="My rooms")).to_be_visible()
    page.go_back()
    expect(page.locator(".ordered")).to_contain_text("The host has muted you")


def test_a_participant_does_not_make_others_look(page: Page, stand_in: StandIn) -> None:
    state = f"GET /api/rooms/{ROOM}/state"
    before = stand_in.asked.count(state)
    look: dict[str, Any] = {"type": "look", "seq": None, "body": {}}
    stand_in.tell({**look, "sender": "mina", "role": "participant"})
    stand_in.say("hana", "Go on")
    expect(page.get_by_text("Go on")).to_be_visible()
    assert stand_in.asked.count(state) == before


def test_somebody_whose_connection_was_ended_reads_why_and_can_try_again(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    states.kicked(stand_in, page)
    expect(page.get_by_text("an administrator has ended this connection")).to_be_visible()
    expect(page.locator(".composer")).to_be_hidden()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("[data-status=live]")).to_be_attached(timeout=SOON)
    expect(page.locator(".composer")).to_be_visible()


def test_a_host_without_a_room_is_told_how_to_make_one(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    states.rooms_none_host(stand_in, page)
    expect(page.locator(".nothing")).to_contain_text("Make your first one")
    expect(page.get_by_text("A host adds you")).to_have_count(0)


def test_the_number_at_people_says_that_it_counts_hands(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 360, "height": 640})
    states.host(stand_in, page)
    tabs = page.get_by_role("navigation")
    expect(tabs.get_by_role("button", name="raised hands: 1 People")).to_be_visible()
    expect(tabs.locator(".mark .icon-hand-palm")).to_be_visible()
    expect(tabs.get_by_role("button", name="open questions: 2 Questions")).to_be_visible()


def test_hand_and_clap_have_words_that_are_their_names(page: Page) -> None:
    for name in ("Raise hand", "Clap"):
        button = page.get_by_role("button", name=name, exact=True)
        expect(button.locator(".word")).to_have_text(name)
        expect(button.locator(".word")).to_be_visible()


def test_a_user_added_after_opening_the_room_gets_in_by_waiting(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    stand_in.role = None
    page.goto(f"{stand_in.url}/#/rooms/{ROOM}")
    expect(page.get_by_text("Ask its host to add you by your name “paul”.")).to_be_visible()
    stand_in.role = "participant"
    expect(page.locator(".composer")).to_be_visible(timeout=SOON)
    expect(page.locator("main")).to_have_count(1)


def test_a_removed_member_sees_it_at_once_and_comes_back_when_added_again(
    page: Page, stand_in: StandIn
) -> None:
    page.locator(".composer textarea").fill("half a sent")
    stand_in.role = None
    stand_in.end("removed")
    expect(page.get_by_text("You are no longer in this room.")).to_be_visible()
    expect(page.locator(".composer")).to_be_hidden()
    stand_in.role = "participant"
    stand_in.say("hana", "Welcome back")
    expect(page.get_by_text("Welcome back")).to_be_visible(timeout=SOON)
    assert _field(page) == "half a sent"


def test_a_new_host_gets_the_host_s_page(page: Page, stand_in: StandIn) -> None:
    stand_in.role = "host"
    event = {"user": "paul", "role": "host", "event": "join"}
    for change in ({**event, "event": "leave"}, event):
        stand_in.tell({"type": "presence", "seq": None, "body": {"events": [change]}})
    expect(page.get_by_role("button", name="Members")).to_be_visible(timeout=SOON)


def test_another_login_in_another_tab_sends_nothing_from_the_first(
    context: BrowserContext, page: Page, stand_in: StandIn
) -> None:
    page.locator(".composer textarea").fill("Paul's")
    stand_in.user = "mina"
    other = context.new_page()
    states.enter(stand_in, other)
    expect(page.get_by_role("alert")).to_contain_text("mina is logged in to this browser now.")
    expect(page.locator(".composer")).to_be_hidden()
    page.get_by_role("button", name="Go on as mina").click()
    expect(page.locator(".composer textarea")).to_have_value("")
    assert _posts(stand_in) == 0


def test_logging_out_in_one_tab_shows_in_the_others(
    context: BrowserContext, page: Page, stand_in: StandIn
) -> None:
    other = context.new_page()
    other.goto(f"{stand_in.url}/")
    other.get_by_role("button", name="Log out").click()
    for tab in (other, page):
        expect(tab.get_by_role("button", name="Log in")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("heading", name="Leaves")).to_have_count(0)
    # And back again, in both.
    stand_in.login = 200
    other.get_by_label("Name").fill("paul")
    other.get_by_label("Password").fill("secret")
    other.get_by_role("button", name="Log in").click()
    expect(page.locator(".composer")).to_be_visible(timeout=SOON)


def test_a_login_that_has_to_wait_says_how_long(context: BrowserContext, stand_in: StandIn) -> None:
    page = context.new_page()
    states.login_wait(stand_in, page)
    expect(page.get_by_role("alert")).to_have_text(
        "Too many attempts. Your login continues by itself in 30 seconds."
    )
    expect(page.get_by_role("button", name="Log in")).to_be_disabled()


def test_a_login_among_many_is_tried_again_by_itself(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    states.login(stand_in, page)
    stand_in.login, stand_in.crowd = 200, 1
    page.get_by_label("Name").fill("paul")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("The server is busy.")
    expect(page.get_by_role("heading", name="My rooms")).to_be_visible()


def test_a_login_that_others_guesses_hold_up_goes_on_by_itself_when_it_was_told(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    page.clock.install()
    states.login_wait(stand_in, page)
    stand_in.login = 200
    button = page.get_by_role("button", name="Log in")
    expect(button).to_be_disabled()
    page.clock.run_for(29_000)
    # Not before: it would only get the same answer.
    expect(button).to_be_disabled()
    page.clock.run_for(1_100)
    expect(page.get_by_role("heading", name="My rooms")).to_be_visible()


def test_a_display_name_stands_beside_the_users_name_that_alone_says_who_it_is(
    context: BrowserContext, stand_in: StandIn
) -> None:
    page = context.new_page()
    stand_in.user, stand_in.role, stand_in.roles = "hana", "host", ("host",)
    stand_in.present = [
        {"user": "mina", "role": "participant", "since": "2026-03-02T09:00:00Z", "name": "Hana"}
    ]
    stand_in.say("mina", "Good morning!", name="Hana")
    stand_in.say("paul", "Hello.")
    stand_in.say("mina", "why?", audience="private", type="question", name="Hana")
    states.enter(stand_in, page)
    entries = page.locator(".entry .by strong")
    expect(entries.nth(0).locator("bdi")).to_have_text(["Hana", "mina"])
    expect(entries.nth(1).locator("bdi")).to_have_text(["paul"])
    expect(page.locator(".question .by bdi")).to_have_text(["Hana", "mina"])
    expect(page.locator(".present bdi").first).to_have_text("Hana")
    expect(page.locator(".present .user-name")).to_have_text("mina")


def test_a_host_shows_what_waits_and_hides_what_was_shown(page: Page, stand_in: StandIn) -> None:
    stand_in.user, stand_in.role = "hana", "host"
    stand_in.say("hana", "Good morning!")
    for text in ("first", "second", "third"):
        stand_in.wait("paul", text)
    stand_in.say("hana", "Go on")
    page.reload()
    queue = page.locator(".approvals")
    expect(queue.locator("li")).to_have_count(3)
    queue.get_by_role("button", name="Do not show what paul wrote").nth(1).click()
    expect(queue.locator("li")).to_have_count(2)
    expect(queue.locator("li").nth(1)).to_be_focused()
    queue.get_by_role("button", name="Show all").click()
    expect(queue).to_be_hidden()
    said = page.locator("[role=log] .entry .text")
    # Where it was said, and not at the end.
    expect(said).to_have_text(["Good morning!", "first", "third", "Go on"])
    page.get_by_role("button", name="Hide what paul wrote from participants").first.click()
    hidden = page.locator(".entry.hidden-from-others")
    expect(hidden).to_contain_text("Only hosts see this.")
    assert stand_in.public[-1]["body"] == {"seq": stand_in.public[-1]["body"]["seq"]}
    # The focus stays with the message, on none of its buttons.
    expect(hidden).to_be_focused()
    hidden.get_by_role("button", name="Show again what paul wrote").click()
    expect(hidden).to_have_count(0)


def test_an_author_sees_what_waits_and_what_became_of_it(page: Page, stand_in: StandIn) -> None:
    stand_in.say("hana", {"approve": True}, type="settings", keep="settings")
    expect(page.locator(".ordered")).to_have_text("A host looks at it before others see it.")
    for text in ("first", "second"):
        stand_in.wait("paul", text)
    stand_in.wait("mina", "hers")
    page.reload()
    waits = page.locator(".entry.waits")
    expect(waits).to_have_count(2)
    expect(waits.first).to_contain_text("Others see it once the host shows it.")
    stand_in.decide(3, is_shown=False)
    expect(waits.last).to_contain_text("The host has not shown it.")
    stand_in.decide(2, is_shown=True)
    expect(waits).to_have_count(1)
    expect(page.locator("[role=log] .entry .text")).to_have_text(["first", "second"])
