"""The dashboard in a browser, as an admin uses it."""

import subprocess
import sys

from playwright.sync_api import Locator, Page

from tests.acceptance.browser.accounts import PASSWORD
from tests.acceptance.gateway_process import GatewayProcess

#: Milliseconds for what takes a tick, a probe or a move.
SOON = 15_000


def add_admin(gateway: GatewayProcess, user: str = "root", *, role: str = "admin") -> None:
    command = [sys.executable, "-m", "gateway", "--config", str(gateway.config)]
    subprocess.run(  # noqa: S603 - our own program
        [*command, "user", "add", user, "--password-stdin", "--role", role],
        input=PASSWORD.encode() + b"\n",
        stdout=subprocess.DEVNULL,
        check=True,
    )


def rows(page: Page, section: str) -> Locator:
    return (
        page.get_by_role("region", name=section).get_by_role("row").filter(has=page.locator("td"))
    )


def row(page: Page, section: str, text: str) -> Locator:
    return rows(page, section).filter(has_text=text)


def confirm(page: Page, button: str) -> Locator:
    """Confirm, and return the place of the result."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=button).click()
    return dialog.get_by_role("status")


def close(page: Page) -> None:
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
