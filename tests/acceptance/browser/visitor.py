"""One person at the page."""

import re
from typing import Literal

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, expect

from tests.acceptance.browser.accounts import PASSWORD

Part = Literal["Everyone", "Ask the host", "Questions"]


class Visitor:
    """What a person does and sees. `faults`: what the browser complained about."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.page = context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._listen)
        self.page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))

    def log_in(self, user: str) -> None:
        self.page.get_by_label("Name").fill(user)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("button", name="Log in")).to_be_hidden()

    def create_room(self, title: str, *participants: str) -> str:
        """The room's path."""
        self.page.get_by_label("Title").fill(title)
        self.page.get_by_label("Participants").fill("\n".join(participants))
        self.page.get_by_role("button", name="Create the room").click()
        self.is_connected()
        return "/#" + self.page.url.partition("#")[2]

    def is_connected(self) -> None:
        expect(self.page.get_by_text("Connected", exact=True)).to_be_visible(timeout=30_000)

    def part(self, name: Part) -> Locator:
        return self.page.get_by_role("region", name=name)

    def say(self, part: Part, text: str) -> None:
        """Written into the field of a part, and sent with Enter."""
        field = self.part(part).get_by_role("textbox")
        field.fill(text)
        field.press("Enter")

    def reads(self, part: Part, *texts: str) -> None:
        """Exactly these messages stand in a part, in this order, none on its way any more."""
        expect(self.part(part).locator("li .text")).to_have_text(
            [re.compile("^" + re.escape(text) + "$") for text in texts], timeout=30_000
        )
        expect(self.part(part).locator("li.letter")).to_have_count(0, timeout=30_000)

    def _listen(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.faults.append(message.text)
