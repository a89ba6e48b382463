"""What the page does when its gateway goes away."""

from playwright.sync_api import expect

from tests.acceptance.browser.accounts import add_accounts
from tests.acceptance.browser.conftest import Visit
from tests.acceptance.browser.visitor import Visitor
from tests.acceptance.conftest import StartGateway
from tests.acceptance.gateway_process import GatewayProcess


def _paul_in_a_room(gateway: GatewayProcess, visit: Visit) -> tuple[Visitor, int]:
    add_accounts(gateway)
    room = gateway.room("hana", "paul")
    paul = visit(gateway, f"/#/rooms/{room}")
    paul.log_in("paul")
    paul.is_connected()
    return paul, room


def test_a_gateway_that_restarts_costs_nothing_that_was_said(
    start_gateway: StartGateway, visit: Visit
) -> None:
    gateway = start_gateway()
    paul, room = _paul_in_a_room(gateway, visit)
    gateway.post(room, "hana", "before")
    paul.reads("Everyone", "before")
    gateway.stop()
    expect(paul.page.get_by_text("(1012). Reconnecting…")).to_be_visible()
    gateway.start()
    gateway.await_ready()
    for text in ("meanwhile 1", "meanwhile 2"):
        assert gateway.post(room, "hana", text)[0] == 201
    paul.is_connected()
    gateway.post(room, "hana", "after")
    paul.reads("Everyone", "before", "meanwhile 1", "meanwhile 2", "after")


def test_what_is_written_while_the_gateway_is_dead_is_sent_once_when_it_lives(
    start_gateway: StartGateway, visit: Visit
) -> None:
    gateway = start_gateway()
    paul, room = _paul_in_a_room(gateway, visit)
    gateway.kill()
    expect(paul.page.get_by_text("Connection lost (1006). Reconnecting…")).to_be_visible()
    for text in ("one", "two"):
        paul.say("Everyone", text)
    expect(paul.page.get_by_text("Not sent yet: the server cannot be reached.")).to_be_visible()
    gateway.start()
    gateway.await_ready()
    paul.reads("Everyone", "one", "two")
    paul.is_connected()
    assert [m["body"] for m in gateway.history(room, "hana")["messages"]] == ["one", "two"]
