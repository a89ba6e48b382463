"""A class of thirty comes into a room by its class code, and half of it is offline in between.

Three of the thirty are pages in Chromium, on phones; the others do what a page does, without one:
they call the API and follow the topic with a STOMP client. Thirty browsers would only measure the
machine. The gateway is below a path of its host, so this also tries all pages there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Response, expect

from tests.acceptance.browser.accounts import add_accounts
from tests.acceptance.browser.conftest import Visit, Watch
from tests.acceptance.browser.dashboard import SOON, add_admin
from tests.acceptance.browser.visitor import PATIENCE, Visitor
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.stomp_client import StompClient

PHONE = {"viewport": {"width": 360, "height": 640}, "is_mobile": True, "has_touch": True}
BELOW = "/school/interact"
PAGES = 3
PUPILS = 30
#: Seconds that the issue gives them.
TWO_MINUTES = 120.0
SAID = ("Good morning!", "Whoever is offline misses nothing.", "Welcome back.")


@pytest.fixture(scope="module")
def gateway_options() -> dict[str, object]:
    """The school's own pages are at the root of the host."""
    return {"path": BELOW}


@pytest.fixture(scope="module", autouse=True)
def _accounts(gateway: GatewayProcess) -> None:
    add_accounts(gateway)


@dataclass
class Pupil:
    """A guest without a page."""

    gateway: GatewayProcess
    room: int
    user: str
    name: str
    cookie: str
    client: StompClient | None = None

    def follow(self, after: int) -> None:
        self.client = StompClient(self.gateway.ws_url, headers={"Cookie": self.cookie})
        assert self.client.connect().command == "CONNECTED"
        topic = f"/topic/{PREFIX}.public.{self.room}"
        self.client.subscribe(topic, resume_after=str(after))

    def hear(self, count: int) -> list[str]:
        assert self.client is not None
        found: list[str] = []
        while len(found) < count:
            message = self.client.message().json
            if message["type"] == "message":
                found.append(message["body"])
        return found

    def leave(self) -> None:
        """As a phone in a lift: without a word."""
        assert self.client is not None
        self.client.socket.shutdown()  # type: ignore[no-untyped-call]


def come_in(gateway: GatewayProcess, code: str, nickname: str) -> Pupil:
    where = urlsplit(gateway.url)
    connection = HTTPConnection(where.hostname or "", where.port, timeout=60)
    try:
        body = json.dumps({"code": code, "nickname": nickname})
        headers = {"Content-Type": "application/json", "Origin": gateway.origin}
        connection.request("POST", f"{BELOW}/api/join", body, headers)
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        assert answer.get("joined"), answer
        cookie = str(response.headers["Set-Cookie"]).partition(";")[0]
    finally:
        connection.close()
    return Pupil(gateway, answer["room"], answer["user"], answer["name"], cookie)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def test_a_class_of_thirty_comes_in_within_two_minutes_and_nobody_misses_a_word(  # noqa: PLR0915 - a lesson in the order in which it happens
    gateway: GatewayProcess, visit: Visit, stack: ExitStack
) -> None:
    host = visit(gateway)
    host.log_in("hana")
    room = host.create_room("Leaves")
    host.page.get_by_role("button", name="Invite").click()
    dialog = host.page.get_by_role("dialog")
    dialog.get_by_label("Without a login").select_option("yes")
    dialog.get_by_role("button", name="Make a class code").click()
    shown = dialog.locator(".letters")
    expect(shown).to_be_visible()
    code = shown.inner_text().replace(" ", "")
    dialog.get_by_role("button", name="Close").click()

    begun = time.monotonic()
    with ThreadPoolExecutor(PUPILS) as threads:
        coming = [
            threads.submit(come_in, gateway, code.lower(), f"Pupil {number % 20}")
            for number in range(PUPILS - PAGES)
        ]
        pages = [visit(gateway, f"/j/{code}", **PHONE) for _ in range(PAGES)]
        for page in pages:
            page.page.get_by_label("Your name in the room").fill("Mina")
            page.page.get_by_role("button", name="Come in").click()
        pupils = [each.result() for each in coming]
        list(threads.map(lambda pupil: pupil.follow(0), pupils))
    for page in pages:
        page.is_connected()
    for pupil in pupils:
        assert pupil.client is not None
        stack.enter_context(pupil.client)
    assert time.monotonic() - begun < TWO_MINUTES
    assert len({pupil.name for pupil in pupils}) == len(pupils), "equal names get numbers"

    # All of them are there, as guests, and each sees only this room.
    expect(host.page.locator(".present li")).to_have_count(PUPILS + 1, timeout=PATIENCE)
    host.say(SAID[0])
    _reads(pages, SAID[:1])
    assert [pupil.hear(1) for pupil in pupils] == [[SAID[0]]] * len(pupils)

    # Half of them are in a lift.
    away, stay = pupils[::2], pupils[1::2]
    for pupil in away:
        pupil.leave()
    for page in pages[:2]:
        page.context.set_offline(True)
    host.say(SAID[1])
    assert [pupil.hear(1) for pupil in stay] == [[SAID[1]]] * len(stay)
    _reads(pages[2:], SAID[:2])
    for page in pages[:2]:
        page.context.set_offline(False)
    # A reload is no other guest.
    pages[0].page.reload()
    with ThreadPoolExecutor(PUPILS) as threads:
        list(threads.map(lambda pupil: pupil.follow(1), away))
    for pupil in away:
        assert pupil.client is not None
        stack.enter_context(pupil.client)
    host.say(SAID[2])
    assert [pupil.hear(2) for pupil in away] == [[*SAID[1:]]] * len(away)
    assert [pupil.hear(1) for pupil in stay] == [[SAID[2]]] * len(stay)
    _reads(pages, SAID)
    expect(host.page.locator(".present li")).to_have_count(PUPILS + 1, timeout=PATIENCE)

    # The lesson is over: the guests have to leave.
    host.page.get_by_role("button", name="Invite").click()
    away_button = dialog.get_by_role("button", name="Switch off and send guests away")
    away_button.click()
    dialog.get_by_role("button", name="Really? Press again").click()
    for page in pages:
        expect(page.page.get_by_text("Your visit has ended.")).to_be_visible(timeout=PATIENCE)
    number = int(room.rpartition("/")[2])
    assert gateway.call("GET", f"/api/rooms/{number}", headers={"Cookie": stay[0].cookie})[0] == 401


def _reads(pages: list[Visitor], said: tuple[str, ...]) -> None:
    for page in pages:
        expect(page.page.get_by_role("log", name="Talk").locator(".said .text")).to_have_text(
            list(said), timeout=PATIENCE
        )


def test_nothing_that_a_page_asks_for_leaves_the_path(
    gateway: GatewayProcess, visit: Visit, watch: Watch
) -> None:
    add_admin(gateway)
    host = visit(gateway)
    asked = Asked(host.page)
    host.page.reload()
    host.log_in("hana")
    room = host.create_room("Roots")
    host.say("Below the path.")
    host.reads("Below the path.")
    asked.stay_below("/ws", "/api/session", "/api/rooms")
    host.page.goto(f"{gateway.url}{room}/projector")
    expect(host.page.get_by_text("Below the path.").first).to_be_visible()
    host.page.goto(f"{gateway.url}/api/docs")
    expect(host.page.get_by_role("heading", level=1)).to_be_visible()
    asked.stay_below("/api/docs")

    page = watch(gateway)
    asked = Asked(page)
    page.reload()
    expect(page.locator(".line[data-state=on]")).to_be_visible(timeout=SOON)
    asked.stay_below("/admin", "/api/admin/live")
    page.goto(f"{gateway.url}/admin/accounts")
    expect(page.get_by_text("hana", exact=True).first).to_be_visible()
    asked.stay_below("/admin/accounts", "/api/admin/accounts")
    page.locator(f'a[href="{BELOW}/admin"]').click()
    expect(page.locator(".line[data-state=on]")).to_be_visible(timeout=SOON)
    asked.stay_below()


class Asked:
    """What a page asks its host for."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._answers: list[Response] = []
        self._paths: list[str] = []
        page.on("request", lambda request: self._paths.append(urlsplit(request.url).path))
        page.on("websocket", lambda socket: self._paths.append(urlsplit(socket.url).path))
        page.on("response", self._is_answered)

    def _is_answered(self, answer: Response) -> None:
        self._answers.append(answer)

    def stay_below(self, *some: str) -> None:
        """Everything, these too, was below the path, and there; and so are the page's links."""
        assert {path for path in self._paths if not path.startswith(f"{BELOW}/")} == set()
        assert {f"{BELOW}{path}" for path in some} <= set(self._paths)
        assert [each.url for each in self._answers if each.status == 404] == []
        links: list[str] = self._page.evaluate("Array.from(document.links, (each) => each.href)")
        paths = [urlsplit(each).path for each in links if urlsplit(each).port is not None]
        assert [
            path for path in paths if path.rstrip("/") != BELOW and not path.startswith(f"{BELOW}/")
        ] == []
