"""States of the pages that a lesson rarely shows, played by a stand-in: failures and long words."""

from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

from screenshot_suite.questions import KINDS, Play, asked
from screenshot_suite.stand_in import ROOM, StandIn

#: Thirty letters without a blank, and a name and a title as long as the gateway takes them.
LONG_WORD = "Donaudampfschifffahrtsgesells"
LONG_KOREAN = "가나다라마바사아자차카타파하거너더러머버서어저처커터퍼허고노"
LONG_NAME = "n" * 120
ARABIC = "هل تتنفس النباتات في الليل؟"
HEBREW_NAME = "דנה לוי"
LINK = "https://example.org/lessons/photosynthesis?page=12&view=all#leaves"
LONG_TITLE = "Titlewithoutanyblank" * 10
MANY = 1_000
#: Messages that the library keeps unsent.
MOST_UNSENT = 1_000
_SINCE = "2026-03-02T09:00:00.000000Z"


def member(user: str, role: str = "participant") -> dict[str, str]:
    return {"user": user, "role": role, "since": _SINCE}


def open_page(context: BrowserContext, url: str, play: Play) -> Page:
    """A page of the context, in the state; `url`: of the site."""
    stand_in = StandIn(url)
    stand_in.present = [member("hana", "host"), member("paul"), member("mina")]
    stand_in.serve(context)
    page = context.new_page()
    play(stand_in, page)
    return page


def enter(stand_in: StandIn, page: Page, suffix: str = "") -> None:
    """Open the room's page as the stand-in's user, with the messages so far."""
    page.goto(f"{stand_in.url}/#/rooms/{ROOM}{suffix}")
    status = "closed" if stand_in.is_closed else "live"
    expect(page.locator(f"[data-status={status}]")).to_be_attached(timeout=20_000)
    expect(page.locator("[role=log][aria-busy=false]").first).to_be_attached(timeout=20_000)


def _as_host(stand_in: StandIn) -> None:
    stand_in.user, stand_in.role, stand_in.roles = "hana", "host", ("host",)


def _write(page: Page, *texts: str) -> None:
    """Write and send any number of texts."""
    page.evaluate(
        """(texts) => {
            const field = document.querySelector(".composer textarea");
            for (const text of texts) {
                field.value = text;
                field.dispatchEvent(new Event("input", { bubbles: true }));
                field.form.requestSubmit();
            }
        }""",
        [*texts],
    )


def _poll(stand_in: StandIn, id: str = "open") -> dict[str, Any]:
    options = ["Chlorophyll", LONG_WORD * 3, LONG_KOREAN * 2, "Paint"]
    body = {"question": LONG_WORD * 4, "options": options}
    stand_in.poll(id, body)
    return body


def empty(stand_in: StandIn, page: Page) -> None:
    enter(stand_in, page)


def unsent(stand_in: StandIn, page: Page) -> None:
    stand_in.say("hana", "Good morning!")
    stand_in.post = "waits"
    enter(stand_in, page)
    _write(page, "Is this on its way?", LONG_WORD, LONG_KOREAN)
    expect(page.locator(".unsent")).to_have_count(3)


def refused(stand_in: StandIn, page: Page) -> None:
    stand_in.post = "refused"
    enter(stand_in, page)
    _write(page, "Too long, they say", LONG_WORD)
    page.locator(".act .icon-hand-palm").click()
    expect(page.locator(".unsent[data-state=refused]")).to_have_count(3)


def offline(stand_in: StandIn, page: Page) -> None:
    stand_in.say("hana", "Good morning!")
    enter(stand_in, page)
    stand_in.vanish()
    _write(page, "Written without a line", LONG_WORD)
    expect(page.locator("[data-status=down]")).to_be_attached(timeout=20_000)


def outbox_full(stand_in: StandIn, page: Page) -> None:
    stand_in.post = "waits"
    enter(stand_in, page)
    _write(page, *(f"message {number}" for number in range(MOST_UNSENT)), LONG_WORD * 2)
    expect(page.locator(".writing .problem")).not_to_be_empty()


def sent_away(stand_in: StandIn, page: Page) -> None:
    stand_in.say("hana", "Good morning!")
    enter(stand_in, page)
    stand_in.role = None
    stand_in.end("removed")
    expect(page.locator("[data-status=away]")).to_be_attached(timeout=20_000)


def kicked(stand_in: StandIn, page: Page) -> None:
    stand_in.say("hana", "Good morning!")
    enter(stand_in, page)
    stand_in.end("kicked")
    expect(page.locator("[data-status=refused] button")).to_be_visible(timeout=20_000)


def closed_under(stand_in: StandIn, page: Page) -> None:
    """The room is closed while somebody writes."""
    stand_in.say("hana", "Good morning!")
    enter(stand_in, page)
    page.locator(".composer textarea").fill("I was about to ask why")
    stand_in.is_closed = True
    stand_in.end("room_closed")
    expect(page.locator("[data-status=closed]")).to_be_attached(timeout=20_000)
    expect(page.locator(".quote")).to_be_visible()


def no_member(stand_in: StandIn, page: Page) -> None:
    stand_in.user, stand_in.role = LONG_NAME, None
    page.goto(f"{stand_in.url}/#/rooms/{ROOM}")
    expect(page.locator("main.start [role=alert]")).to_be_visible()


def other_user(stand_in: StandIn, page: Page) -> None:
    enter(stand_in, page)
    stand_in.user = LONG_NAME
    page.evaluate(
        """(user) => new BroadcastChannel("interact.session").postMessage({ what: "in", user })""",
        LONG_NAME,
    )
    expect(page.locator("main.login [role=alert]")).to_be_visible()


def long_words(stand_in: StandIn, page: Page) -> None:
    stand_in.title = LONG_TITLE
    stand_in.present.append(member(LONG_NAME))
    stand_in.say(LONG_NAME, LONG_WORD * 20)
    stand_in.say("paul", LONG_KOREAN * 20)
    question = stand_in.say("paul", LONG_WORD * 6, type="question", audience="private")
    answer = {"text": LONG_WORD * 4, "question": question["id"], "quote": LONG_WORD * 6}
    stand_in.say("hana", answer, type="answer")
    closing = {**_poll(stand_in, "ended"), "poll": "ended", "totals": [12, 100, 3, 0]}
    stand_in.say("hana", None, type="voting", keep="voting:ended")
    stand_in.say("hana", closing, type="poll-closed", keep="result:ended")
    _poll(stand_in)
    enter(stand_in, page)
    page.locator(".composer textarea").fill(LONG_WORD)
    expect(page.locator(".option")).to_have_count(4)


def right_to_left(stand_in: StandIn, page: Page) -> None:
    """Arabic and Hebrew beside English."""
    stand_in.title = ARABIC
    stand_in.present.append(member(HEBREW_NAME))
    stand_in.say(HEBREW_NAME, ARABIC)
    stand_in.say("mina", f"7b: {ARABIC} :7b")
    stand_in.say("paul", f"{ARABIC}\nThat is the question!\n{LINK} {ARABIC}")
    question = stand_in.say("paul", ARABIC, type="question", audience="private")
    answer = {"text": f"{ARABIC} (42)", "question": question["id"], "quote": ARABIC}
    stand_in.say("hana", answer, type="answer")
    poll = {"question": ARABIC, "options": [ARABIC, "Yes", f"{HEBREW_NAME} (1)"]}
    stand_in.poll("ended", poll, is_open=False)
    closing = {**poll, "poll": "ended", "totals": [12, 100, 3]}
    stand_in.say("hana", closing, type="poll-closed", keep="result:ended")
    stand_in.poll("open", poll)
    enter(stand_in, page)
    page.locator(".composer textarea").fill(ARABIC)
    expect(page.locator(".option")).to_have_count(3)


def links(stand_in: StandIn, page: Page) -> None:
    stand_in.say("hana", f"Read {LINK}, then ask.")
    stand_in.say("mina", f"({LINK})에서 봤어요. mailto:hana@example.org")
    stand_in.say("paul", f"https://example.org/{LONG_WORD * 6}")
    stand_in.say("paul", "javascript:alert(1) https://bank.example@evil.example/ www.example.org")
    enter(stand_in, page)
    expect(page.locator(".entry a")).to_have_count(4)


def too_long(stand_in: StandIn, page: Page) -> None:
    enter(stand_in, page)
    page.locator(".composer textarea").fill("too long " * 1_334)
    page.locator(".composer .primary").click()
    expect(page.locator(".notes .problem")).not_to_be_empty()


def hand_up(stand_in: StandIn, page: Page) -> None:
    stand_in.say("paul", {"up": True}, type="hand", audience="private", keep="hand")
    stand_in.say("hana", "Good morning!")
    enter(stand_in, page)
    expect(page.locator(".act[aria-pressed=true]")).to_be_visible()


def thousand(stand_in: StandIn, page: Page) -> None:
    _poll(stand_in)
    for number in range(MANY + 200):
        stand_in.say(("hana", "mina", "paul")[number % 3], f"message {number}")
    enter(stand_in, page)
    expect(page.locator(".option")).to_have_count(4)
    expect(page.get_by_text(f"message {MANY + 199}", exact=True)).to_be_in_viewport()


def closed(stand_in: StandIn, page: Page) -> None:
    stand_in.is_closed = True
    stand_in.say("hana", "Good morning!")
    enter(stand_in, page)


def _full_host(stand_in: StandIn) -> None:
    _as_host(stand_in)
    stand_in.title = LONG_TITLE
    stand_in.present.append(member(LONG_NAME, "host"))
    stand_in.say("mina", LONG_WORD * 8)
    for text in ("Why green?", LONG_WORD * 6):
        stand_in.say(LONG_NAME, text, type="question", audience="private")
    stand_in.say(LONG_NAME, {"up": True}, type="hand", audience="private", keep="hand")
    _poll(stand_in)
    stand_in.vote("paul", "open", {"option": 1})


def host(stand_in: StandIn, page: Page) -> None:
    _full_host(stand_in)
    enter(stand_in, page)
    expect(page.locator(".poll-panel .chart")).to_be_attached()


def _host_part(number: int, content: str) -> Play:
    def play(stand_in: StandIn, page: Page) -> None:
        host(stand_in, page)
        if page.locator(".tabs").is_visible():
            page.locator(".tabs button").nth(number).click()
        expect(page.locator(content).first).to_be_visible()

    return play


def host_members(stand_in: StandIn, page: Page) -> None:
    host(stand_in, page)
    page.locator(".bar button:has(.icon-users)").click()
    expect(page.locator(".members li")).to_have_count(len(stand_in.present))


def remains(stand_in: StandIn, page: Page) -> None:
    _as_host(stand_in)
    enter(stand_in, page)
    page.locator(".tools .icon-gear-six").click()
    expect(page.locator("dialog[open] .group").last).to_be_visible()


def host_share(stand_in: StandIn, page: Page) -> None:
    host(stand_in, page)
    page.locator(".bar button:has(.icon-qr-code)").click()
    expect(page.locator("dialog[open] .code")).to_be_visible()


def host_answers(stand_in: StandIn, page: Page) -> None:
    _host_part(2, ".question")(stand_in, page)
    page.locator(".question .row button").last.click()
    expect(page.locator(".quote")).to_be_visible()


def poll_form(stand_in: StandIn, page: Page) -> None:
    _as_host(stand_in)
    enter(stand_in, page)
    if page.locator(".tabs").is_visible():
        page.locator(".tabs button").nth(1).click()
    page.locator(".poll-form input").first.fill(LONG_WORD)
    for _ in range(6):
        page.locator(".poll-form .quiet:has(.icon-plus)").click()


def projector(stand_in: StandIn, page: Page) -> None:
    _full_host(stand_in)
    enter(stand_in, page, "/projector")
    expect(page.locator(".stage .chart")).to_be_visible()


def projector_code(stand_in: StandIn, page: Page) -> None:
    """A poll, and the class code beside it."""
    stand_in.code = "BCDFGH"
    projector(stand_in, page)
    expect(page.locator(".class-code .letters")).to_be_visible()


def projector_closed(stand_in: StandIn, page: Page) -> None:
    _as_host(stand_in)
    stand_in.is_closed = True
    enter(stand_in, page, "/projector")


def muted(stand_in: StandIn, page: Page) -> None:
    """Somebody is muted while they write, and a poll is open."""
    _poll(stand_in)
    stand_in.say("hana", "Good morning!")
    body = {"user": "paul"}
    stand_in.say("hana", body, type="muted", audience="private", keep="muted", of="paul")
    enter(stand_in, page)
    page.locator(".composer textarea").evaluate("(field) => (field.value = 'half a sentence')")
    expect(page.locator(".ordered")).not_to_be_empty()


def chat_off(stand_in: StandIn, page: Page) -> None:
    stand_in.say("hana", {"chat": False, "slow": 300}, type="settings", keep="settings")
    enter(stand_in, page)
    expect(page.locator(".ordered")).not_to_be_empty()


def guest_closed(stand_in: StandIn, page: Page) -> None:
    """The room is closed under a guest, whose session ends with it."""
    stand_in.user, stand_in.guest_of = f"guest~{ROOM}~k3m9x2pqrs", ROOM
    enter(stand_in, page)
    stand_in.is_closed, stand_in.user = True, None
    stand_in.end("session_ended", code=4001)
    expect(page.locator("main.start a")).to_be_visible(timeout=20_000)


def projector_join(stand_in: StandIn, page: Page) -> None:
    _as_host(stand_in)
    enter(stand_in, page, "/projector")
    expect(page.locator(".stage .code")).to_be_visible()


def rooms(stand_in: StandIn, page: Page) -> None:
    stand_in.user, stand_in.roles = LONG_NAME, ("host",)
    titles = ("Leaves", LONG_TITLE, LONG_KOREAN)
    stand_in.rooms = [
        {"id": number, "title": title, "role": "host", "closed_at": None if number else _SINCE}
        for number, title in enumerate(titles)
    ]
    page.goto(f"{stand_in.url}/")
    expect(page.locator(".rooms a")).to_have_count(len(titles))


def rooms_none(stand_in: StandIn, page: Page) -> None:
    page.goto(f"{stand_in.url}/")
    expect(page.locator(".nothing")).to_be_visible()


def rooms_none_host(stand_in: StandIn, page: Page) -> None:
    stand_in.user, stand_in.roles = "hana", ("host",)
    rooms_none(stand_in, page)


def new_room(stand_in: StandIn, page: Page) -> None:
    rooms(stand_in, page)
    page.locator(".bar .primary").click()
    page.locator("dialog[open] textarea").fill(LONG_NAME)


def login(stand_in: StandIn, page: Page) -> None:
    stand_in.user = None
    page.goto(f"{stand_in.url}/")
    expect(page.locator("form.card")).to_be_visible()


def _log_in(stand_in: StandIn, page: Page, status: int) -> None:
    login(stand_in, page)
    stand_in.login = status
    page.locator("input[autocomplete=username]").fill("paul")
    page.locator("input[type=password]").fill("wrong")
    page.locator("button.primary").click()
    expect(page.locator(".login .problem")).not_to_be_empty()


def login_refused(stand_in: StandIn, page: Page) -> None:
    _log_in(stand_in, page, 401)


def login_wait(stand_in: StandIn, page: Page) -> None:
    _log_in(stand_in, page, 429)


def dashboard(stand_in: StandIn, page: Page) -> None:
    stand_in.user, stand_in.roles = "root", ("admin",)
    stand_in.dashboard = _dashboard()
    page.goto(f"{stand_in.url}/admin")
    expect(page.locator(".chart canvas")).to_have_count(6)
    expect(page.locator("[aria-labelledby=events-title] tbody tr").first).to_be_attached()


def accounts(stand_in: StandIn, page: Page) -> None:
    """Lists of accounts, of which some cannot be made, and slips of those that were."""
    stand_in.user, stand_in.roles = "root", ("admin",)
    people = [("root", None), (LONG_NAME, LONG_KOREAN), ("paul", ARABIC)]
    shown = [
        {
            **{"user": user, "name": name, "roles": ["host", LONG_WORD], "sessions": number},
            "kept_out_until": "2027-03-02T09:00:00Z" if number == 1 else None,
        }
        for number, (user, name) in enumerate(people)
    ]
    fields = {"roles": ["host"], "password": "bagu-tedo-mipa-47", "generated": True}
    entries = [
        {"line": 2, "written": LONG_NAME, "state": "new", "user": LONG_NAME, "name": LONG_KOREAN},
        {"line": 3, "written": "paul", "state": "exists", "user": "paul", "name": None},
        {"line": 4, "written": LONG_WORD * 3, "state": "wrong", "why": LONG_WORD * 3},
    ]
    stand_in.dashboard = {
        "accounts": {"accounts": shown, "matching": 3, "total": 3, "made": [LONG_NAME]},
        "accounts/check": {"entries": [fields | each for each in entries]},
    }
    page.goto(f"{stand_in.url}/admin/accounts")
    page.locator("textarea").fill("user")
    page.locator("form .primary").click()
    page.locator(".preview .primary").click()
    expect(page.locator(".slip")).to_have_count(1)


def _dashboard() -> dict[str, Any]:
    at = 1_772_442_000
    node = {
        "name": f"rabbit@{LONG_NAME}",
        "health": "out",
        "draining": False,
        "partitioned": False,
        "available": False,
        "why": LONG_WORD * 5,
        "connections": 12_345,
        "limit": 20_000,
        "latency": 0.012,
    }
    event = {"number": 1, "at": at, "kind": "close", "code": "unheard_of", "detail": LONG_WORD * 5}
    gateway = {
        "gateway": f"gateway-{LONG_WORD}",
        "started_at": at - 100_000,
        "draining": False,
        "sample": [at, 12_345, 678_901, 123, 0.004, 0.009, 7, 12.5, 0.5],
        "topics": 12,
        "nodes": [node],
        "feeds": [node["name"], None],
        "problems": [LONG_WORD * 3],
        "events": [{**event, "user": LONG_NAME, "address": "2001:db8:ffff:ffff:ffff:ffff:ffff:1"}],
        "past": [[at - n, 12_000 + n, 1_000 * n, n, 0.004, 0.009, n] for n in range(60, 0, -1)],
    }
    connection = {
        "gateway": gateway["gateway"],
        "id": "c" * 36,
        "user": LONG_NAME,
        "rooms": [*range(1, 30)],
        "address": "2001:db8:ffff:ffff:ffff:ffff:ffff:1",
        "since": _SINCE,
        "node": node["name"],
        **dict.fromkeys(("frames_in", "frames_out", "bytes_in", "bytes_out", "backlog"), 123_456),
        "heard_at": _SINCE,
        "expires_at": "2026-03-02T10:00:00Z",
    }
    connections = {"at": _SINCE, "connections": [connection], "total": 1, "matching": 1}
    live = {"own": gateway["gateway"], "gateways": [gateway], "missing": {LONG_WORD: LONG_WORD}}
    entry = {
        **{"id": 1, "at": _SINCE, "since": _SINCE, "gateway": gateway["gateway"], "kind": "close"},
        **{
            "code": "too_slow",
            "status": 4008,
            "client_status": 1001,
            "detail": f"{ARABIC} {LONG_WORD * 5}",
        },
        **{"user": LONG_NAME, "by": LONG_NAME, "room": 2**60, "address": connection["address"]},
        **{
            "node": node["name"],
            "connection": connection["id"],
            "browser": f"{ARABIC} {LONG_WORD * 6}",
        },
        **{"bytes_in": 123_456, "bytes_out": 123_456},
    }
    return {
        "live": live,
        "connections": {**connections, "missing": {}},
        "events": {"events": [entry], "next": "x"},
    }


def host_approves(stand_in: StandIn, page: Page) -> None:
    """A host's desk where something waits, and something is hidden."""
    _as_host(stand_in)
    stand_in.say("hana", {"approve": True}, type="settings", keep="settings")
    rude = stand_in.say("paul", LONG_WORD * 2)
    stand_in.say("hana", {"seq": rude["seq"]}, type="hidden", keep=f"hidden:{rude['seq']}")
    stand_in.say("mina", "What breathes at night?")
    for sender, text in (("paul", LONG_WORD * 4), (LONG_NAME, ARABIC), ("mina", LINK)):
        stand_in.wait(sender, text)
    enter(stand_in, page)
    expect(page.locator(".approvals li")).to_have_count(3)


def approval(stand_in: StandIn, page: Page) -> None:
    """A participant whose words wait, and were not shown."""
    stand_in.say("hana", {"approve": True}, type="settings", keep="settings")
    stand_in.say("hana", "Ask me anything.")
    stand_in.wait("paul", LONG_WORD * 4)
    stand_in.wait("paul", "Why?")
    enter(stand_in, page)
    expect(page.locator(".entry.waits")).to_have_count(2)
    stand_in.decide(3, is_shown=False)
    expect(page.locator(".fate")).to_have_count(2)


#: By name, for pictures and for the tests of the layout.
STATES: dict[str, Play] = {
    "empty": empty,
    "unsent": unsent,
    "refused": refused,
    "offline": offline,
    "outbox-full": outbox_full,
    "too-long": too_long,
    "hand-up": hand_up,
    "sent-away": sent_away,
    "kicked": kicked,
    "closed-under": closed_under,
    "no-member": no_member,
    "other-user": other_user,
    "long-words": long_words,
    "links": links,
    "right-to-left": right_to_left,
    "thousand": thousand,
    "closed": closed,
    "muted": muted,
    "chat-off": chat_off,
    "guest-closed": guest_closed,
    "host": host,
    "host-approves": host_approves,
    "approval": approval,
    "host-poll": _host_part(1, ".poll-panel .chart"),
    "host-questions": _host_part(2, ".question"),
    "host-people": _host_part(3, ".hands li"),
    "host-answers": host_answers,
    "host-members": host_members,
    "host-share": host_share,
    "host-remains": remains,
    "poll-form": poll_form,
    "projector": projector,
    "projector-join": projector_join,
    "projector-code": projector_code,
    "projector-closed": projector_closed,
    "rooms": rooms,
    "rooms-none": rooms_none,
    "rooms-none-host": rooms_none_host,
    "rooms-new": new_room,
    "login": login,
    "login-refused": login_refused,
    "login-wait": login_wait,
    "dashboard": dashboard,
    "accounts": accounts,
    **{f"poll-{kind}": asked(kind, enter) for kind in KINDS},
}
