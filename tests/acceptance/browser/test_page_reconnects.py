"""The pages while the connection, a node, or the gateway goes away."""

import shutil
from pathlib import Path

from playwright.sync_api import expect

from devenv.cluster import Cluster
from tests.acceptance.browser.accounts import add_accounts
from tests.acceptance.browser.conftest import Visit
from tests.acceptance.browser.visitor import PATIENCE, POSTS, Visitor
from tests.acceptance.conftest import StartGateway
from tests.acceptance.gateway_process import GatewayProcess

OFFLINE = "Offline. What you write is kept and sent when the line is back."


def _enter(gateway: GatewayProcess, visit: Visit, *users: str) -> tuple[int, list[Visitor]]:
    """A room that Hana hosts, and the visitors in it."""
    add_accounts(gateway)
    room = gateway.room("hana", "paul", "mina")
    visitors = []
    for user in users:
        visitor = visit(gateway, f"/#/rooms/{room}")
        visitor.log_in(user)
        visitor.is_connected()
        visitors.append(visitor)
    return room, visitors


def _texts(gateway: GatewayProcess, room: int) -> list[object]:
    return [m["body"] for m in gateway.history(room, "hana")["messages"]]


def test_a_node_that_dies_in_the_middle_of_a_lesson_is_noticed_by_nobody(
    start_gateway: StartGateway, visit: Visit, cluster: Cluster
) -> None:
    gateway = start_gateway()
    room, (hana, paul, mina) = _enter(gateway, visit, "hana", "paul", "mina")
    everybody = (hana, paul, mina)
    for visitor in everybody:
        visitor.watch_status()
    texts = []
    for number in range(15):
        if number == 4:
            hana.starts_poll("Why green?", "Chlorophyll", "Paint")
            paul.votes("Chlorophyll")
        if number == 6:
            cluster.node(1).daemon.kill()
        if number == 8:
            mina.votes("Paint")
            mina.ask("Did you notice?")
        texts.append(f"message {number}")
        everybody[number % 3].say(texts[-1])
    hana.sees_votes("1 (50%)", "1 (50%)")
    hana.has_questions("Did you notice?")
    hana.page.get_by_role("button", name="End the poll").click()
    for visitor in (paul, mina):
        visitor.sees_votes("1 (50%)", "1 (50%)", part="Talk")
    in_history = [text for text in _texts(gateway, room) if isinstance(text, str)]
    assert sorted(in_history) == sorted(texts)
    for visitor in everybody:
        visitor.reads_of_all(*in_history)
        expect(visitor.page.get_by_text("3 here", exact=True)).to_be_visible(timeout=PATIENCE)
        assert visitor.statuses_shown() == {"live"}


def test_a_page_that_was_offline_gets_everything_in_order_and_once(
    start_gateway: StartGateway, visit: Visit
) -> None:
    gateway = start_gateway()
    room, (hana, paul) = _enter(gateway, visit, "hana", "paul")
    hana.say("before")
    paul.reads("before")
    paul.context.set_offline(True)
    gateway.kill()
    expect(paul.page.get_by_text(OFFLINE)).to_be_visible()
    gateway.start()
    gateway.await_ready()
    for number in range(5):
        assert gateway.post(room, "hana", f"missed {number}")[0] == 201
    paul.say("written without a line")
    expect(paul.page.get_by_text("Sending…")).to_be_visible()
    paul.context.set_offline(False)
    expected = ["before", *(f"missed {number}" for number in range(5)), "written without a line"]
    paul.reads(*expected)
    hana.reads(*expected)
    paul.is_connected()
    assert _texts(gateway, room) == expected


def test_a_message_that_was_not_sent_when_the_tab_was_reloaded_goes_out_once(
    start_gateway: StartGateway, visit: Visit
) -> None:
    gateway = start_gateway()
    room, (hana, paul) = _enter(gateway, visit, "hana", "paul")
    hana.starts_poll("Why green?", "Chlorophyll", "Paint")
    expect(paul.page.get_by_role("button", name="Paint")).to_be_visible()
    # The page itself can still be loaded; what it says to the gateway is lost.
    paul.context.route(POSTS, lambda route: route.abort())
    paul.say("kept over a reload")
    paul.page.get_by_role("button", name="Paint").click()
    expect(paul.page.get_by_text("Sending your answer…")).to_be_visible()
    paul.page.reload()
    paul.context.unroute(POSTS)
    paul.reads("kept over a reload")
    hana.reads("kept over a reload")
    hana.sees_votes("0 (0%)", "1 (100%)")
    expect(paul.page.get_by_text("Your answer counts.")).to_be_visible()
    paul.page.reload()
    paul.is_connected()
    paul.reads("kept over a reload")
    assert [text for text in _texts(gateway, room) if isinstance(text, str)] == [
        "kept over a reload"
    ]


def test_a_gateway_that_restarts_costs_nothing_that_was_said(
    start_gateway: StartGateway, visit: Visit
) -> None:
    gateway = start_gateway()
    room, (paul,) = _enter(gateway, visit, "paul")
    gateway.post(room, "hana", "before")
    paul.reads("before")
    gateway.stop()
    expect(paul.page.get_by_text(OFFLINE)).to_be_visible()
    gateway.start()
    gateway.await_ready()
    for text in ("meanwhile 1", "meanwhile 2"):
        assert gateway.post(room, "hana", text)[0] == 201
    paul.is_connected()
    gateway.post(room, "hana", "after")
    paul.reads("before", "meanwhile 1", "meanwhile 2", "after")


def test_messages_written_while_the_gateway_is_dead_are_sent_once_when_it_lives(
    start_gateway: StartGateway, visit: Visit
) -> None:
    gateway = start_gateway()
    room, (paul,) = _enter(gateway, visit, "paul")
    gateway.kill()
    expect(paul.page.get_by_text(OFFLINE)).to_be_visible()
    for text in ("one", "two"):
        paul.say(text)
    expect(paul.page.get_by_text("Sending…")).to_have_count(2)
    gateway.start()
    gateway.await_ready()
    paul.reads("one", "two")
    paul.is_connected()
    assert _texts(gateway, room) == ["one", "two"]


def test_a_page_that_meets_another_room_of_its_number_shows_nothing_of_both_together(
    start_gateway: StartGateway, visit: Visit, tmp_path: Path
) -> None:
    """A backup from before the room was made is restored, and its number given to a new room."""
    gateway = start_gateway()
    add_accounts(gateway)
    paul = visit(gateway)
    paul.log_in("paul")
    gateway.stop()
    database, backup = tmp_path / "interact.db", tmp_path / "backup.db"
    shutil.copy(database, backup)
    gateway.start()
    gateway.await_ready()
    room = gateway.room("hana", "paul")
    paul.page.goto(f"{gateway.url}/#/rooms/{room}")
    paul.is_connected()
    assert gateway.post(room, "hana", "of the old room")[0] == 201
    paul.reads("of the old room")
    # The page finds the gateway again when the new room has more messages than the old one had.
    paul.context.set_offline(True)
    gateway.stop()
    for file in tmp_path.glob("interact.db-*"):
        file.unlink()
    shutil.copy(backup, database)
    gateway.start()
    gateway.await_ready()
    assert gateway.room("hana", "paul", "mina") == room
    new = [f"of the new room {number}" for number in range(3)]
    for text in new:
        assert gateway.post(room, "hana", text)[0] == 201
    paul.context.set_offline(False)
    paul.reads(*new)
    paul.say("and on it goes")
    paul.reads(*new, "and on it goes")
