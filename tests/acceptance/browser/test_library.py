"""The browser library, used as its documentation says, on a real gateway and cluster."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, Response, Route, expect

from devenv.cluster import Cluster
from tests.acceptance.broker_view import consumers, wait_for, waiting
from tests.acceptance.browser.example_page import ExamplePage
from tests.acceptance.browser.visitor import POSTS
from tests.acceptance.conftest import StartGateway
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.cable import Cable

Open = Callable[..., ExamplePage]


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Open]:
    """Opens the example in a browser of its own; fails the test if a page broke."""
    pages: list[ExamplePage] = []

    def open_as(gateway: GatewayProcess, room: int, user: str, **options: Any) -> ExamplePage:
        page = ExamplePage(chromium.new_context(), gateway, room, user, **options)
        pages.append(page)
        return page

    yield open_as
    for page in pages:
        page.context.close()
    assert [fault for page in pages for fault in page.faults] == []


@pytest.fixture
def gateway(start_gateway: StartGateway) -> GatewayProcess:
    """It does not tell who comes and goes: what waits in a queue is counted here."""
    return start_gateway(presence=False)


@pytest.fixture
def room(gateway: GatewayProcess) -> int:
    return gateway.room("hana", "paul", "mina")


@pytest.fixture
def paul(gateway: GatewayProcess, open_page: Open, room: int) -> ExamplePage:
    page = open_page(gateway, room, "paul")
    page.is_in_state("connected")
    return page


@pytest.fixture
def cable(gateway: GatewayProcess) -> Iterator[Cable]:
    cable = Cable(gateway.cable_port, gateway.port)
    with cable.laid():
        yield cable


@pytest.fixture
def far_away(gateway: GatewayProcess, open_page: Open, room: int, cable: Cable) -> ExamplePage:
    """Paul at the other end of a cable."""
    page = open_page(gateway, room, "paul", cable=cable)
    page.is_in_state("connected")
    return page


def _said(gateway: GatewayProcess, room: int) -> list[str]:
    return [message["body"] for message in gateway.history(room, "hana")["messages"]]


def test_the_example_runs_as_it_stands_in_the_documentation(
    gateway: GatewayProcess, open_page: Open, room: int
) -> None:
    gateway.post(room, "hana", "before")
    paul, mina = (open_page(gateway, room, user) for user in ("paul", "mina"))
    for page in (paul, mina):
        page.is_in_state("connected")
        page.reads("hana: before")
    paul.say("<b>안녕</b>")
    paul.reads("hana: before", "paul: <b>안녕</b>")
    mina.say("hello")
    for page in (paul, mina):
        page.reads("hana: before", "paul: <b>안녕</b>", "mina: hello")


def test_everything_missed_without_a_network_is_there_once_and_in_order(
    gateway: GatewayProcess, far_away: ExamplePage, room: int, cable: Cable
) -> None:
    gateway.post(room, "hana", "before")
    far_away.reads("hana: before")
    far_away.context.set_offline(True)
    cable.unplug()
    far_away.is_in_state("waiting")
    far_away.say("said without a network")
    texts = [f"missed {number}" for number in range(1, 21)]
    for text in texts:
        gateway.post(room, "hana", text)
    cable.plug_in()
    far_away.context.set_offline(False)
    far_away.is_in_state("connected")
    gateway.post(room, "hana", "after")
    # When what was said without a network arrives is between the gateway and the others.
    expect(far_away.page.get_by_role("listitem")).to_have_count(23, timeout=60_000)
    lines = far_away.page.get_by_role("listitem").all_inner_texts()
    said = [
        f"{message['sender']}: {message['body']}"
        for message in gateway.history(room, "hana")["messages"]
    ]
    assert lines == said
    assert set(said) == {
        "hana: before",
        *(f"hana: {text}" for text in texts),
        "paul: said without a network",
        "hana: after",
    }


def test_on_a_bad_line_a_lesson_goes_on_and_nothing_is_lost_or_doubled(
    far_away: ExamplePage, cable: Cable, gateway: GatewayProcess, room: int
) -> None:
    lines = far_away.page.get_by_role("listitem")
    cable.degrade(Random(16))  # noqa: S311 - chance, not a secret
    spoken = 0
    while cable.breaks < 4:
        gateway.post(room, "hana", f"hana's {spoken}")
        far_away.say(f"paul's {spoken}")
        spoken += 1
        assert spoken < 40, "the line is too good"
        expect(lines).to_have_count(2 * spoken, timeout=60_000)
    cable.degrade(None)
    said = [
        f"{message['sender']}: {message['body']}"
        for message in gateway.history(room, "hana")["messages"]
    ]
    assert lines.all_inner_texts() == said
    assert len(said) == 2 * spoken


def test_a_network_that_is_back_is_used_at_once(
    far_away: ExamplePage, cable: Cable, gateway: GatewayProcess, room: int
) -> None:
    far_away.context.set_offline(True)
    cable.unplug()
    far_away.is_in_state("waiting")
    # The waits have become long by now.
    with far_away.page.expect_event("websocket", timeout=60_000):
        pass
    with far_away.page.expect_event("websocket", timeout=60_000):
        pass
    cable.plug_in()
    far_away.context.set_offline(False)
    gateway.post(room, "hana", "welcome back")
    expect(far_away.page.get_by_role("listitem")).to_have_text("hana: welcome back", timeout=3_000)


def test_a_line_that_died_in_silence_is_given_up(
    far_away: ExamplePage, cable: Cable, gateway: GatewayProcess, room: int
) -> None:
    gateway.post(room, "hana", "before")
    far_away.reads("hana: before")
    cable.hold()
    expect(far_away.page.get_by_role("status")).to_have_text("waiting", timeout=45_000)
    gateway.post(room, "hana", "said into the void")
    cable.unplug()
    cable.release()
    cable.plug_in()
    far_away.reads("hana: before", "hana: said into the void")


#: The page does not run for four seconds, and no event tells it: what a short sleep is to it.
_SLEEP = "const end = performance.now() + 4000; while (performance.now() < end);"


def test_a_page_that_slept_finds_its_dead_line_within_seconds(
    far_away: ExamplePage, cable: Cable, gateway: GatewayProcess, room: int
) -> None:
    gateway.post(room, "hana", "before")
    far_away.reads("hana: before")
    cable.go_dead()
    gateway.post(room, "hana", "while it slept")
    far_away.page.evaluate(_SLEEP)
    lines = far_away.page.get_by_role("listitem")
    expect(lines).to_have_text(["hana: before", "hana: while it slept"], timeout=5_000)
    far_away.say("awake")
    expect(lines).to_have_count(3, timeout=5_000)
    assert far_away.sockets == 2


def test_a_page_that_slept_keeps_a_line_that_lives(
    far_away: ExamplePage, gateway: GatewayProcess, room: int
) -> None:
    far_away.page.evaluate(_SLEEP)
    # Longer than an answer may take.
    far_away.page.wait_for_function(
        "start => performance.now() > start + 4000", arg=far_away.page.evaluate("performance.now()")
    )
    gateway.post(room, "hana", "good morning")
    far_away.reads("hana: good morning")
    assert far_away.sockets == 1


#: A network in which no WebSocket opens: what a page sees of a proxy that knows none.
_NO_WEBSOCKET = """
window.WebSocket = class {
  constructor() {
    setTimeout(() => this.onclose?.({ code: 1006, reason: "", wasClean: false }), 50);
  }
  send() {}
  close() {}
};
"""


def test_where_websockets_are_blocked_everything_comes_all_the_same(
    gateway: GatewayProcess, far_away: ExamplePage, room: int, cable: Cable
) -> None:
    gateway.post(room, "hana", "before")
    far_away.context.add_init_script(_NO_WEBSOCKET)
    far_away.open()
    streams: list[str] = []

    def note(answer: Response) -> None:
        if "/events" in answer.url:
            streams.append(answer.headers["content-type"])

    far_away.page.on("response", note)
    far_away.is_in_state("connected")
    far_away.say("by HTTP")
    far_away.reads("hana: before", "paul: by HTTP")
    cable.unplug()
    far_away.is_in_state("waiting")
    gateway.post(room, "hana", "missed")
    cable.plug_in()
    far_away.is_in_state("connected")
    gateway.post(room, "hana", "after")
    far_away.reads("hana: before", "paul: by HTTP", "hana: missed", "hana: after")
    assert streams
    assert all("text/event-stream" in each for each in streams)


#: A host opens a vote, somebody votes, and the host closes it, in one page.
_VOTE = """
async ([number, hosts, pauls]) => {
  const { connect } = await import("/static/interact/index.js");
  const [host, paul] = [hosts, pauls].map((token) => connect({ token }).room(number));
  await host.keep("poll:1", { question: "?" });
  await host.keep("voting:1", { until: null });
  for (let n = 0; n < 3; n += 1) await paul.post(`said ${n}`);
  const rooms = [host, paul];
  const audiences = ["public", "private"];
  const following = audiences.flatMap((one) => rooms.map((room) => room.followState(one)));
  await Promise.all(following.map(({ ready }) => ready));
  const stood = paul.state.public.entries().map(({ key }) => key);
  const heard = new Promise((resolve) => {
    host.onstate = (audience, changes) => audience === "private" && resolve(changes);
  });
  const vote = { audience: "private", type: "vote", while: "voting:1" };
  await paul.keep("vote:1", { option: 1 }, vote);
  const [{ key, author, message }] = await heard;
  const own = paul.state.private.get("vote:1", "paul").body;
  const ended = new Promise((resolve) => {
    paul.onstate = (audience, [change]) => change.message === null && resolve(change.key);
  });
  await host.keep("voting:1", null);
  const late = await paul.keep("vote:1", { option: 2 }, vote).catch(({ code }) => code);
  const forbidden = await paul.keep("poll:2", {}).catch(({ code }) => code);
  return { stood, vote: [key, author, message.body], own, ended: await ended, late, forbidden };
}
"""


def test_the_state_of_a_room_is_followed_and_a_late_vote_refused(
    gateway: GatewayProcess, paul: ExamplePage, room: int
) -> None:
    tokens = [gateway.token(user) for user in ("hana", "paul")]
    assert paul.page.evaluate(_VOTE, [room, *tokens]) == {
        "stood": ["poll:1", "voting:1"],
        "vote": ["vote:1", "paul", {"option": 1}],
        "own": {"option": 1},
        "ended": "voting:1",
        "late": "not_open",
        "forbidden": "key_refused",
    }


def test_a_page_of_another_origin_imports_the_library_and_takes_part(
    gateway: GatewayProcess, open_page: Open, room: int, paul: ExamplePage
) -> None:
    mina = open_page(gateway, room, "mina", origin=f"http://127.0.0.1:{gateway.cable_port}")
    mina.is_in_state("connected")
    mina.say("from elsewhere")
    for page in (mina, paul):
        page.reads("mina: from elsewhere")
    gateway.post(room, "hana", "welcome")
    mina.reads("mina: from elsewhere", "hana: welcome")


def test_a_page_of_an_origin_that_is_not_configured_gets_nothing(
    gateway: GatewayProcess, chromium: Browser
) -> None:
    context = chromium.new_context()
    context.route("http://elsewhere.example/", lambda route: route.fulfill(body="<p>a page"))
    page = context.new_page()
    page.goto("http://elsewhere.example/")
    failed = page.evaluate(
        "url => import(url).then(() => false, () => true)",
        f"{gateway.url}/static/interact/index.js",
    )
    assert failed
    context.close()


_ENTER = """async (room) => {
  const {connect} = await import("/static/interact/index.js");
  window.connection = connect({cookie: true});
  window.room = window.connection.room(room);
  await window.room.subscribe(() => {}).ready;
}"""

_STATE = "({name, user, other}) => [name, user, other].join()"


def test_a_second_login_in_the_browser_stops_the_first_users_page(
    gateway: GatewayProcess, chromium: Browser, room: int
) -> None:
    context = chromium.new_context()
    context.route("**/example", lambda route: route.fulfill(body="<p>a page"))

    def log_in(user: str) -> Page:
        answer = context.request.post(
            f"{gateway.url}/api/session", data={"token": gateway.token(user)}
        )
        assert answer.status == 200
        page = context.new_page()
        page.goto(f"{gateway.url}/example")
        return page

    first = log_in("paul")
    first.evaluate(_ENTER, room)
    second = log_in("mina")
    # The first page has not been told anything yet, and speaks.
    code = first.evaluate("window.room.post('as paul').catch(({code}) => code)")
    assert code == "user_changed"
    told = "window.connection.state.other === 'mina'"
    first.wait_for_function(told)
    assert first.evaluate(f"({_STATE})(window.connection.state)") == "user_changed,paul,mina"
    assert _said(gateway, room) == []
    second.evaluate(_ENTER, room)
    second.evaluate("window.room.post('as mina')")
    assert [m["sender"] for m in gateway.history(room, "hana")["messages"]] == ["mina"]
    # The first page's user comes again: only now it is sent.
    third = log_in("paul")
    third.evaluate(_ENTER, room)
    second.wait_for_function("window.connection.state.name === 'user_changed'")
    third.wait_for_function("window.room.waiting.length === 0")
    assert _said(gateway, room) == ["as mina", "as paul"]
    third.evaluate("window.connection.call('DELETE', '/api/session')")
    third.wait_for_function("window.connection.state.name !== 'connected'")
    context.close()


def test_a_post_whose_answer_is_lost_doubles_nothing(
    gateway: GatewayProcess, paul: ExamplePage, room: int
) -> None:
    ids = []

    def lose_the_first_answer(route: Route) -> None:
        ids.append(json.loads(route.request.post_data or "{}")["id"])
        if len(ids) == 1:
            assert route.fetch().status == 201
            route.abort()
        else:
            route.continue_()

    paul.page.route(POSTS, lose_the_first_answer)
    paul.say("once")
    paul.reads("paul: once")
    # Nothing is lost by that, and what waits is sent: the message itself was the answer, if it came
    # before the next try did.
    paul.say("twice")
    paul.reads("paul: once", "paul: twice")
    assert len(set(ids)) == 2
    assert len(ids) <= 3
    assert _said(gateway, room) == ["once", "twice"]


def test_a_refusal_is_told_as_the_gateway_put_it(paul: ExamplePage) -> None:
    paul.page.get_by_label("Message").evaluate("field => { field.value = 'x'.repeat(200000) }")
    paul.page.get_by_role("button", name="Send").click()
    expect(paul.page.get_by_role("listitem")).to_contain_text("not sent: ", timeout=30_000)


def test_unsent_messages_go_out_once_after_a_reload_of_the_page(
    gateway: GatewayProcess, paul: ExamplePage, room: int
) -> None:
    paul.page.route(POSTS, lambda route: route.abort())
    for text in ("one", "two"):
        paul.say(text)
    paul.page.unroute(POSTS)
    paul.open()
    paul.reads("paul: one", "paul: two")
    paul.open()
    paul.is_in_state("connected")
    gateway.post(room, "hana", "the end")
    paul.reads("paul: one", "paul: two", "hana: the end")
    assert _said(gateway, room) == ["one", "two", "the end"]


def test_the_token_is_renewed_in_time(gateway: GatewayProcess, open_page: Open, room: int) -> None:
    paul = open_page(gateway, room, "paul", lifetime=20.0)
    paul.is_in_state("connected")
    while paul.tokens < 3:
        with paul.page.expect_request("**/token", timeout=30_000):
            pass
    gateway.post(room, "hana", "much later")
    paul.reads("hana: much later")
    paul.is_in_state("connected")
    assert paul.sockets == 1


def test_a_gateway_that_restarts_is_found_again_and_nothing_is_missed(
    gateway: GatewayProcess, paul: ExamplePage, room: int
) -> None:
    gateway.post(room, "hana", "before")
    paul.reads("hana: before")
    gateway.kill()
    paul.is_in_state("waiting")
    paul.say("said meanwhile")
    gateway.start()
    gateway.await_ready()
    gateway.post(room, "hana", "heard late")
    paul.is_in_state("connected")
    paul.page.wait_for_function("document.querySelectorAll('li').length === 3", timeout=30_000)
    expected = [
        f"{message['sender']}: {message['body']}"
        for message in gateway.history(room, "hana")["messages"]
    ]
    assert sorted(expected) == ["hana: before", "hana: heard late", "paul: said meanwhile"]
    paul.reads(*expected)


def test_a_gateway_that_drains_is_left_and_found_again_as_it_asks(
    gateway: GatewayProcess, paul: ExamplePage, room: int
) -> None:
    gateway.stop()
    paul.is_in_state("waiting")
    gateway.start()
    gateway.await_ready()
    gateway.post(room, "hana", "welcome back")
    paul.is_in_state("connected")
    paul.reads("hana: welcome back")


def test_messages_no_longer_kept_are_reported_and_the_rest_is_heard(
    gateway: GatewayProcess, far_away: ExamplePage, room: int, cable: Cable, tmp_path: Path
) -> None:
    gateway.post(room, "hana", "1")
    far_away.reads("hana: 1")
    cable.unplug()
    far_away.is_in_state("waiting")
    for text in ("2", "3", "4"):
        gateway.post(room, "mina", text)
    gateway.kill()
    with closing(sqlite3.connect(tmp_path / "interact.db")) as database, database:
        # What is not kept any more was published long ago.
        database.execute("DELETE FROM outbox WHERE seq < 4")
        database.execute("DELETE FROM messages WHERE seq < 4")
        database.execute("UPDATE streams SET first = 4 WHERE audience = 'public'")
    gateway.start()
    gateway.await_ready()
    cable.plug_in()
    told = "(what was said here is no longer kept)"
    far_away.reads("hana: 1", told, "mina: 4")
    gateway.post(room, "hana", "5")
    far_away.reads("hana: 1", told, "mina: 4", "hana: 5")


def test_unsent_messages_of_a_closed_tab_are_sent_once_by_the_tab_that_stays(
    gateway: GatewayProcess, paul: ExamplePage, room: int
) -> None:
    other = paul.context.new_page()
    other.goto(paul.page.url)
    expect(other.get_by_role("status")).to_have_text("connected", timeout=30_000)
    other.route(POSTS, lambda route: route.abort())
    with other.expect_event("requestfailed", lambda request: request.method == "POST"):
        other.get_by_label("Message").fill("left behind")
        other.get_by_role("button", name="Send").click()
    other.close()
    assert _said(gateway, room) == []
    gateway.stop()
    paul.is_in_state("waiting")
    gateway.start()
    gateway.await_ready()
    paul.reads("paul: left behind")
    gateway.post(room, "hana", "the end")
    paul.reads("paul: left behind", "hana: the end")


def test_a_removed_member_is_told_and_hears_on_when_added_again(
    gateway: GatewayProcess, paul: ExamplePage, room: int
) -> None:
    gateway.post(room, "hana", "before")
    paul.reads("hana: before")
    path = f"/api/rooms/{room}/members/paul"
    status, _ = gateway.call("DELETE", path, user="hana")
    assert status == 204
    paul.is_in_state("refused")
    gateway.post(room, "hana", "without paul")
    assert paul.sockets == 1
    status, _ = gateway.call("PUT", path, {"role": "participant"}, user="hana")
    assert status < 300
    paul.is_in_state("connected")
    gateway.post(room, "hana", "after")
    paul.reads("hana: before", "hana: without paul", "hana: after")
    assert paul.sockets == 2


def test_a_gateway_that_passes_topics_through_is_followed_without_a_loss(
    start_gateway: StartGateway, open_page: Open
) -> None:
    gateway = start_gateway(extra='fanout = "passthrough"')
    room = gateway.room("hana", "paul")
    gateway.post(room, "hana", "before")
    paul = open_page(gateway, room, "paul")
    paul.is_in_state("connected")
    paul.say("hello")
    paul.reads("hana: before", "paul: hello")


# Imports the library by its old address, as pages do that were written for it.
_COOKIE = """async (room) => {
  const {connect} = await import("/static/js/interact.js");
  const token = async () => (await fetch("/token")).text();
  window.said = [];
  const connection = connect({token, cookie: true});
  const subscription = connection.room(room).subscribe(({body}) => window.said.push(body));
  await subscription.ready;
  await connection.room(room).post("by cookie");
}"""


def test_a_token_can_be_traded_for_the_session_cookie(
    gateway: GatewayProcess, paul: ExamplePage, room: int
) -> None:
    paul.context.route(
        f"{gateway.url}/blank",
        lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"),
    )
    paul.page.goto(f"{gateway.url}/blank")
    proofs: list[tuple[str, bool]] = []

    def listen(request: Request) -> None:
        proofs.append((request.url, "authorization" in request.headers))

    paul.page.on("request", listen)
    paul.page.evaluate(_COOKIE, room)
    paul.page.wait_for_function("window.said.includes('by cookie')")
    assert [cookie.get("name") for cookie in paul.context.cookies()] == ["interact_session"]
    assert (f"{gateway.url}/api/session", False) in proofs
    assert not any(bearer for _, bearer in proofs)


_HOST = """async ({token, room, refuse}) => {
  const {connect} = await import("/static/interact/index.js");
  window.heard = [];
  window.hostRoom = connect({token}).room(room);
  const subscription = window.hostRoom.private(async ({sender, body}) => {
    if (body === refuse) throw new Error("not today");
    window.heard.push(`${sender}: ${body}`);
  });
  await subscription.ready;
}"""


def _host(page: Page, gateway: GatewayProcess, room: int, *, refuse: str = "") -> None:
    page.goto(f"{gateway.url}/example?room=0")
    token = gateway.token("hana", "host")
    page.evaluate(_HOST, {"token": token, "room": room, "refuse": refuse})


def _has_heard(page: Page, *texts: str) -> None:
    page.wait_for_function("wanted => window.heard?.length >= wanted", arg=len(texts))
    assert page.evaluate("window.heard") == list(texts)


def test_the_host_handles_what_was_asked_before_entering_and_each_is_acknowledged_then(
    gateway: GatewayProcess, paul: ExamplePage, room: int, cluster: Cluster
) -> None:
    queue = f"{PREFIX}.private.{room}"
    gateway.post(room, "paul", "Why?", audience="private")
    gateway.post(room, "paul", "Good morning")
    gateway.post(room, "mina", "How?", audience="private")
    wait_for(lambda: waiting(cluster, queue) == 3)
    page = paul.context.new_page()
    _host(page, gateway, room, refuse="Good morning")
    _has_heard(page, "paul: Why?", "mina: How?")
    page.close()
    wait_for(lambda: consumers(cluster, queue) == 0)
    wait_for(lambda: waiting(cluster, queue) == 1)
    page = paul.context.new_page()
    _host(page, gateway, room)
    _has_heard(page, "paul: Good morning")
    wait_for(lambda: waiting(cluster, queue) == 0)
