"""A lesson of some length: what is open stays in sight, whoever leaves and however much is said."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.browser.accounts import add_accounts
from tests.acceptance.browser.conftest import Visit
from tests.acceptance.browser.visitor import PATIENCE, Visitor
from tests.acceptance.gateway_process import GatewayProcess

MANY = 10_000
#: As the store has them, and as of earlier in the lesson. The id is any number in hexadecimal.
_SAY_MUCH = """
INSERT INTO messages (id, room, audience, seq, sender, sent_at, type, body, role)
WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < :many)
SELECT printf('%032x', :room * 1000000 + n), :room, 'public', head + n, 'mina',
       (SELECT max(sent_at) FROM messages WHERE room = :room), 'message', '"so"', 'participant'
FROM count, streams WHERE room = :room AND audience = 'public'
"""
_HEAD = "UPDATE streams SET head = head + :many WHERE room = :room AND audience = 'public'"


@pytest.fixture(scope="module", autouse=True)
def _accounts(gateway: GatewayProcess) -> None:
    add_accounts(gateway)


@pytest.fixture
def room(hana: Visitor) -> int:
    """Her room, with Paul and Mina as participants."""
    return int(hana.create_room("Leaves", "paul", "mina").rpartition("/")[2])


@pytest.fixture
def paul(gateway: GatewayProcess, visit: Visit, room: int) -> Visitor:
    """A participant, in the room."""
    visitor = visit(gateway, f"/#/rooms/{room}")
    visitor.log_in("paul")
    visitor.is_connected()
    return visitor


@pytest.fixture
def wall(hana: Visitor, room: int) -> Page:
    """The page for the whole class."""
    with hana.context.expect_page() as opened:
        hana.page.get_by_role("link", name="Projector").click()
    page = opened.value
    expect(page.get_by_text("Join with your phone")).to_be_visible(timeout=PATIENCE)
    return page


def _keep(gateway: GatewayProcess, room: int, user: str, key: str, body: Any) -> None:
    status, answer = gateway.post(room, user, body, type=key.partition(":")[0], keep=key)
    assert status in (201, 202), answer


def _say_much(gateway: GatewayProcess, room: int) -> None:
    with closing(sqlite3.connect(gateway.config.parent / "interact.db")) as database, database:
        for statement in (_SAY_MUCH, _HEAD):
            database.execute(statement, {"room": room, "many": MANY})


def test_a_poll_stays_in_sight_for_ten_thousand_messages_and_when_its_host_leaves(
    gateway: GatewayProcess, hana: Visitor, paul: Visitor, room: int
) -> None:
    members = f"/api/rooms/{room}/members/zoe"
    assert gateway.call("PUT", members, {"role": "host"}, user="hana")[0] < 300
    question = "Why green?"
    _keep(gateway, room, "zoe", "poll:p", {"question": question, "options": ["Paint", "Sky"]})
    _keep(gateway, room, "zoe", "voting:p", {"until": None, "hidden": False})
    paul.votes("Paint")
    paul.page.get_by_role("button", name="Raise hand").click()
    _say_much(gateway, room)
    assert gateway.call("DELETE", members, user="hana")[0] == 204
    hana.say("after all this")
    for visitor in (hana, paul):
        expect(visitor.page.get_by_text("after all this", exact=True)).to_be_visible(
            timeout=PATIENCE
        )
        visitor.page.reload()
        visitor.is_connected()
    expect(hana.part("Poll").get_by_role("heading", name=question)).to_be_visible()
    hana.sees_votes("1 (100%)", "0 (0%)")
    expect(hana.page.get_by_role("button", name="Call on paul")).to_be_visible()
    expect(paul.part("Poll").get_by_role("heading")).to_have_text(question)
    chosen = paul.part("Poll").get_by_role("button", name="Paint")
    expect(chosen).to_have_attribute("aria-pressed", "true")

    paul.context.set_offline(True)
    paul.part("Poll").get_by_role("button", name="Sky").click()
    hana.page.get_by_role("button", name="End the poll").click()
    hana.sees_votes("1 (100%)", "0 (0%)", part="Talk")
    paul.context.set_offline(False)
    # Too late, for everybody alike: what was chosen in time counts.
    expect(paul.part("Talk").get_by_text("Not sent:")).to_be_visible(timeout=PATIENCE)
    paul.sees_votes("1 (100%)", "0 (0%)", part="Talk")
    expect(paul.part("Talk").locator(".chart .chosen")).to_have_count(1)
    expect(paul.part("Talk").locator(".chart li").first).to_contain_text("your answer")


def test_the_wall_shows_answers_what_is_right_and_why_when_the_host_does(
    hana: Visitor, paul: Visitor, wall: Page
) -> None:
    form = hana.part("Poll")
    form.get_by_role("button", name="B is right").click()
    form.get_by_text("Time, names, explanation").click()
    form.get_by_label("Hide the answers").check()
    form.get_by_label("I see who answered what").check()
    form.get_by_label("Explanation").fill("It swallows red light.")
    hana.starts_poll("Why green?", "Paint", "Chlorophyll")
    expect(paul.page.get_by_text("The hosts see who answered what.")).to_be_visible()
    expect(paul.page.get_by_text("It swallows")).to_have_count(0)
    paul.votes("Paint")
    stage = wall.locator(".stage")
    expect(stage.get_by_text("Answers: 1 of 1 here · shown later")).to_be_visible(timeout=PATIENCE)
    expect(stage.locator(".label")).to_have_text(["Paint", "Chlorophyll"])
    expect(stage.locator(".count:visible")).to_have_count(0)
    hana.page.get_by_text("Who answered what", exact=True).click()
    expect(hana.page.locator(".given-answers li")).to_contain_text("paul")

    hana.page.get_by_role("button", name="Show on the wall").click()
    expect(stage.locator(".count")).to_have_text(["1 (100%)", "0 (0%)"], timeout=PATIENCE)
    hana.page.get_by_role("button", name="Hide on the wall").click()
    expect(stage.locator(".count:visible")).to_have_count(0, timeout=PATIENCE)
    hana.page.get_by_role("button", name="End the poll").click()
    expect(paul.page.get_by_text("Answers are closed.")).to_be_visible(timeout=PATIENCE)
    expect(paul.page.get_by_text("Your answer: A · Paint")).to_be_visible()
    expect(stage.locator(".count:visible")).to_have_count(0)
    hana.page.get_by_role("button", name="Show the result").click()
    expect(stage.locator(".count")).to_have_text(["1 (100%)", "0 (0%)"], timeout=PATIENCE)
    for place in (stage, paul.part("Talk")):
        expect(place.locator(".chart .right")).to_contain_text("Chlorophyll")
        expect(place.get_by_text("It swallows red light.")).to_be_visible()
    hana.page.get_by_role("button", name="Put away").click()
    expect(wall.get_by_text("Join with your phone")).to_be_visible(timeout=PATIENCE)
    expect(paul.part("Talk").locator(".chart .right")).to_contain_text("Chlorophyll")
