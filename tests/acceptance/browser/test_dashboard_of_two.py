"""Two gateways on one dashboard. A module of its own: each gateway hears of all others."""

import pytest
from playwright.sync_api import expect

from tests.acceptance.browser.conftest import Connect, Watch
from tests.acceptance.browser.dashboard import SOON, add_admin, close, confirm, row, rows
from tests.acceptance.conftest import StartGateway

pytestmark = [pytest.mark.cluster, pytest.mark.postgres]


def test_two_gateways_are_shown_and_ordered_about_as_one(
    start_gateway: StartGateway,
    postgres_url: str,
    watch: Watch,
    clients: Connect,
) -> None:
    store = postgres_url.replace("+asyncpg", "")
    first, second = (start_gateway(number=number, store=store) for number in (0, 1))
    add_admin(first)
    here = clients(first, "paul")
    there = clients(second, "paul")
    clients(second, "mina")
    page = watch(first)
    expect(rows(page, "Gateways")).to_have_count(2, timeout=SOON)
    expect(rows(page, "Connections")).to_have_count(3, timeout=SOON)
    row(page, "Connections", "paul").first.get_by_role("button", name="End all of paul").click()
    expect(confirm(page, "End all")).to_contain_text("Connections ended: 2.")
    close(page)
    for client in (here, there):
        error, code = client.error()
        assert (error.headers["message"], code) == ("kicked", 4003)
    expect(rows(page, "Connections")).to_have_count(1, timeout=SOON)
    second.kill()
    expect(page.locator(".line")).to_contain_text("No answer from", timeout=SOON)
