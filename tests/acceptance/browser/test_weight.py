"""What a room page costs a school's line: few requests and few bytes, and almost none the second
time."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from tests.acceptance.browser.accounts import PASSWORD, add_accounts
from tests.acceptance.browser.conftest import Visit
from tests.acceptance.browser.visitor import Visitor
from tests.acceptance.gateway_process import GatewayProcess

#: Everything that a page asks for until it is connected: its files, the API, the WebSocket.
MOST_REQUESTS = 15
MOST_BYTES = 120_000


class Line:
    """What goes over a page's line, as the browser counts it."""

    def __init__(self, page: Page) -> None:
        self.addresses: dict[str, str] = {}
        self.bytes = 0
        self._kept: set[str] = set()
        session = page.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", self._asked)
        session.on("Network.requestServedFromCache", lambda event: self._had(event["requestId"]))
        session.on("Network.responseReceived", self._answered)
        session.on("Network.loadingFinished", self._finished)
        session.on("Network.webSocketCreated", self._opened)
        session.send("Network.enable")

    @property
    def asked(self) -> list[str]:
        """The addresses that the gateway was asked for."""
        return [each for id, each in self.addresses.items() if id not in self._kept]

    def _asked(self, event: dict[str, Any]) -> None:
        if not event["request"]["url"].startswith("data:"):
            self.addresses[event["requestId"]] = event["request"]["url"]

    def _opened(self, event: dict[str, Any]) -> None:
        self.addresses[event["requestId"]] = event["url"]

    def _answered(self, event: dict[str, Any]) -> None:
        if event["response"].get("fromDiskCache"):
            self._had(event["requestId"])

    def _had(self, id: str) -> None:
        self._kept.add(id)

    def _finished(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self._kept:
            self.bytes += int(event["encodedDataLength"])


def test_a_room_page_is_light_and_a_reload_fetches_nothing_but_the_page(
    gateway: GatewayProcess, visit: Visit
) -> None:
    add_accounts(gateway)
    room = gateway.room("hana", "paul")
    for number in range(30):
        assert gateway.post(room, "hana", {"text": f"line {number}"})[0] == 201
    paul: Visitor = visit(gateway, "/healthz")
    login = {"user": "paul", "password": PASSWORD}
    assert paul.context.request.post(f"{gateway.url}/api/session", data=login).ok
    cold = Line(paul.page)
    paul.page.goto(f"{gateway.url}/#/rooms/{room}")
    paul.is_connected()
    assert f"{gateway.url}/" in cold.asked
    assert gateway.ws_url in cold.asked
    assert len(cold.asked) <= MOST_REQUESTS, cold.asked
    assert cold.bytes <= MOST_BYTES
    warm = Line(paul.page)
    paul.page.reload()
    paul.is_connected()
    assert f"{gateway.url}/" in warm.asked
    assert [each for each in warm.asked if "/static/" in each] == []
    assert warm.bytes < MOST_BYTES / 4
