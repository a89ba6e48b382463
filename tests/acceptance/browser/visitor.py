"""One person at the page."""

import re

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, expect

from tests.acceptance.browser.accounts import PASSWORD

#: Milliseconds for what has to go through gateway and cluster, and may meet a dead node.
PATIENCE = 30_000

#: The addresses that pages post to; what they read has other queries.
POSTS = re.compile(r"/api/rooms/\d+/messages(\?identity=\w+)?$")


class Visitor:
    """A person at a page. `faults`: what the browser complained about."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.page = context.new_page()
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._listen)
        self.page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))

    def log_in(self, user: str, password: str = PASSWORD) -> None:
        self.page.get_by_label("Name").fill(user)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("button", name="Log in")).to_be_hidden()

    def create_room(self, title: str, *participants: str) -> str:
        """The room's path."""
        self.page.get_by_role("button", name="New room").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("Title").fill(title)
        dialog.get_by_label("Participants").fill("\n".join(participants))
        dialog.get_by_role("button", name="Create the room").click()
        self.is_connected()
        return "/#" + self.page.url.partition("#")[2]

    def is_connected(self) -> None:
        """The connection is up, and what was said so far is here."""
        expect(self.page.locator("[data-status=live]")).to_be_attached(timeout=PATIENCE)
        expect(self._log.and_(self.page.locator("[aria-busy=false]"))).to_be_attached(
            timeout=PATIENCE
        )

    def watch_status(self) -> None:
        """Remember from now on what the status sign has shown."""
        self.page.evaluate("""() => {
            const sign = document.querySelector("[data-status]");
            globalThis.statuses = [sign.dataset.status];
            new MutationObserver(() => globalThis.statuses.push(sign.dataset.status))
                .observe(sign, {attributeFilter: ["data-status"]});
        }""")

    def statuses_shown(self) -> set[str]:
        """The states that the connection's sign has shown since :meth:`watch_status`."""
        return set(self.page.evaluate("globalThis.statuses"))

    def part(self, name: str) -> Locator:
        return self.page.get_by_role("region", name=name)

    def say(self, text: str) -> None:
        """Written into the field, and sent with Enter."""
        field = self.part("Talk").get_by_role("textbox")
        field.fill(text)
        field.press("Enter")

    def ask(self, text: str) -> None:
        """Asked of the host, by a participant."""
        self.page.get_by_text("Host only", exact=True).click()
        self.say(text)
        self.page.get_by_text("Everyone", exact=True).click()

    def reads(self, *texts: str) -> None:
        """Exactly these messages stand in the conversation, in this order, none on its way."""
        self._lists(self._log.locator(".text"), texts)
        expect(self.page.locator("li.unsent")).to_have_count(0, timeout=PATIENCE)

    def reads_of_all(self, *texts: str) -> None:
        """Exactly this was said to everyone, in this order."""
        self._lists(self._log.locator(".said .text"), texts)

    def has_questions(self, *texts: str) -> None:
        """Exactly these wait for the host."""
        self._lists(self.part("Questions").locator(".question .text"), texts)

    def starts_poll(self, question: str, *options: str) -> None:
        part = self.part("Poll")
        part.get_by_label("Question").fill(question)
        for _ in options[2:]:
            part.get_by_role("button", name="Add a choice").click()
        for letter, option in zip("ABCDEFGH", options, strict=False):
            part.get_by_label(f"Choice {letter}", exact=True).fill(option)
        part.get_by_role("button", name="Start the poll").click()

    def votes(self, option: str) -> None:
        """One tap, and it counts."""
        part = self.part("Poll")
        part.get_by_role("button", name=option).click()
        expect(part.get_by_role("button", name=option)).to_have_attribute("aria-pressed", "true")
        expect(part.get_by_text("Your answer counts.")).to_be_visible(timeout=PATIENCE)

    def sees_votes(self, *counts: str, part: str = "Poll") -> None:
        """The chart's numbers, from the first option on, e.g. `2 (67%)`."""
        self._lists(self.part(part).locator(".chart .count:visible"), counts)

    def _lists(self, items: Locator, texts: tuple[str, ...]) -> None:
        expect(items).to_have_text(
            [re.compile("^" + re.escape(text) + "$") for text in texts], timeout=PATIENCE
        )

    @property
    def _log(self) -> Locator:
        return self.page.get_by_role("log", name="Talk")

    def _listen(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.faults.append(message.text)
