"""Presence over two gateways, while users come and reload and gateways die."""

import time

import pytest

from tests.acceptance.broker_view import wait_for
from tests.acceptance.conftest import StartGateway, connected
from tests.acceptance.gateway_process import PREFIX, GatewayProcess
from tests.acceptance.listeners import Listener

pytestmark = [pytest.mark.cluster, pytest.mark.postgres]


@pytest.fixture
def gateways(start_gateway: StartGateway, postgres_url: str) -> list[GatewayProcess]:
    store = postgres_url.replace("+asyncpg", "")
    made = [start_gateway(number=number, store=store, presence=True) for number in (0, 1)]
    for each in made:
        wait_for(lambda each=each: "gateway_peers 1.0" in each.metrics())  # type: ignore[misc]
    return made


def _present(gateway: GatewayProcess, room: int) -> dict[str, str]:
    status, answer = gateway.call("GET", f"/api/rooms/{room}/presence", user="hana")
    assert status == 200, answer
    return {each["user"]: each["role"] for each in answer["present"]}


def _said_of(listener: Listener, event: str) -> list[str]:
    """Of whom, besides who listens, it was said that they have come or are gone."""
    heard = [frame.json for frame in listener.frames]
    events = [e for each in heard if each["type"] == "presence" for e in each["body"]["events"]]
    return [e["user"] for e in events if e["user"] != "hana" and e["event"] == event]


def test_three_tabs_on_two_gateways_are_one_who_comes_and_leaves_once(
    gateways: list[GatewayProcess],
) -> None:
    here, there = gateways
    room = here.room("hana", "paul")
    topic = f"/topic/{PREFIX}.public.{room}"
    with Listener(connected(here, "hana"), topic) as hana:
        tabs = [Listener(connected(gateway, "paul"), topic) for gateway in (here, there, there)]
        wait_for(lambda: _said_of(hana, "join"))
        for gateway in gateways:
            everybody = {"hana": "host", "paul": "participant"}
            wait_for(lambda g=gateway: _present(g, room), wanted=everybody.__eq__)  # type: ignore[misc]
        for tab in tabs[:2]:
            tab.close()
        # A reload of the last page: nobody notices.
        tabs[2].close()
        with Listener(connected(here, "paul"), topic):
            wait_for(lambda: here.post(room, "hana", "after the reload")[0] == 201)
        left = time.monotonic()
        wait_for(lambda: _said_of(hana, "leave"), within=16.0)
        assert time.monotonic() - left > 8.0, "somebody may come back"
        assert _said_of(hana, "join") == ["paul"]
        assert _said_of(hana, "leave") == ["paul"]
        for gateway in gateways:
            wait_for(lambda g=gateway: _present(g, room), wanted={"hana": "host"}.__eq__)  # type: ignore[misc]


def test_another_role_is_told_to_everybody_wherever_they_are(
    gateways: list[GatewayProcess],
) -> None:
    here, there = gateways
    room = here.room("hana", "paul")
    topic = f"/topic/{PREFIX}.public.{room}"
    with (
        Listener(connected(here, "hana"), topic) as hana,
        Listener(connected(there, "paul"), topic),
    ):
        wait_for(lambda: _said_of(hana, "join"))
        path = f"/api/rooms/{room}/members/paul"
        assert here.call("PUT", path, {"role": "host"}, user="hana")[0] == 200
        wait_for(lambda: _said_of(hana, "role"), wanted=["paul"].__eq__)
        for gateway in gateways:
            assert _present(gateway, room) == {"hana": "host", "paul": "host"}
        assert _said_of(hana, "leave") == []


def test_the_users_of_a_gateway_that_was_killed_leave_once_within_thirty_seconds(
    gateways: list[GatewayProcess],
) -> None:
    staying, dying = gateways
    room = staying.room("hana", "paul", "nina")
    topic = f"/topic/{PREFIX}.public.{room}"
    with Listener(connected(staying, "hana"), topic) as hana:
        with Listener(connected(dying, "paul"), topic), Listener(connected(dying, "nina"), topic):
            wait_for(lambda: sorted(_said_of(hana, "join")), wanted=["nina", "paul"].__eq__)
            dying.kill()
            killed = time.monotonic()
        with Listener(connected(staying, "nina"), topic):
            wait_for(lambda: _said_of(hana, "leave"), within=30.0)
            assert time.monotonic() - killed < 30.0
            assert _present(staying, room) == {"hana": "host", "nina": "participant"}
            dying.start()
            dying.await_ready()
            with Listener(connected(dying, "paul"), topic):
                wait_for(lambda: _said_of(hana, "join"), wanted=lambda said: len(said) == 3)
                both = {"hana": "host", "nina": "participant", "paul": "participant"}
                wait_for(lambda: _present(dying, room), wanted=both.__eq__)
            assert _said_of(hana, "leave") == ["paul"]
            assert sorted(_said_of(hana, "join")) == ["nina", "paul", "paul"]
