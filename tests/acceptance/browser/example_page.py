"""The example of the library's documentation, as a web developer would run it."""

import re
from pathlib import Path

from playwright.sync_api import BrowserContext, Route, WebSocket, expect

from tests.acceptance.gateway_process import GatewayProcess
from tests.cable import Cable

_DOCUMENTATION = Path(__file__).parents[3] / "static" / "interact" / "README.md"


def example() -> str:
    """The page in the documentation."""
    found = re.search(r"```html\n(.*?)```", _DOCUMENTATION.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def _from_elsewhere(gateway: str) -> str:
    """The same for a page of another origin, as the documentation says."""
    page = example().replace('"/static/interact/index.js"', f'"{gateway}/static/interact/index.js"')
    return page.replace("connect({ token })", f'connect({{ url: "{gateway}", token }})')


class ExamplePage:
    """The example in a browser, with its user's login server behind `/token`.

    With a `cable`, it reaches the gateway by that one. With an `origin`, it stands there, and
    imports the library from the gateway.

    `lifetime` of its tokens is in seconds; `tokens` counts those it has given, `sockets` the
    WebSockets that the page has opened.
    """

    def __init__(
        self,
        context: BrowserContext,
        gateway: GatewayProcess,
        room: int,
        user: str,
        *,
        lifetime: float = 3600.0,
        cable: Cable | None = None,
        origin: str | None = None,
    ) -> None:
        self.context = context
        self.room = room
        self.origin = origin or (cable.url if cable else gateway.url)
        content = example() if origin is None else _from_elsewhere(gateway.url)
        self.tokens = 0
        self.sockets = 0
        self.faults: list[str] = []

        def give_token(route: Route) -> None:
            self.tokens += 1
            route.fulfill(body=gateway.token(user, lifetime=lifetime))

        context.route(
            f"{self.origin}/example?*",
            lambda route: route.fulfill(body=content, content_type="text/html"),
        )
        context.route(f"{self.origin}/token", give_token)
        self.page = context.new_page()
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("websocket", self._count_socket)
        self.open()

    def open(self) -> None:
        self.page.goto(f"{self.origin}/example?room={self.room}")

    def is_in_state(self, name: str) -> None:
        expect(self.page.get_by_role("status")).to_have_text(name, timeout=30_000)

    def say(self, text: str) -> None:
        self.page.get_by_label("Message").fill(text)
        self.page.get_by_role("button", name="Send").click()

    def reads(self, *texts: str) -> None:
        """Exactly these lines stand there, in this order."""
        expect(self.page.get_by_role("listitem")).to_have_text(list(texts), timeout=60_000)

    def _count_socket(self, _: WebSocket) -> None:
        self.sockets += 1
