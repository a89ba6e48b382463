"""Messages among gateways: told, asked, answered, and who is there to hear them."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from broker.protocol.stomp import Frame
from gateway.cluster.bus import Bus
from gateway.cluster.envelope import MAX_BYTES
from gateway.cluster.peers import BEAT, PATIENCE
from gateway.errors import Invalid
from tests.unit.cluster.bus_network import KEY, Network
from tests.virtual_time import run

SILENT = BEAT * (PATIENCE + 2)


class Recorder:
    """A handler that keeps what it was given."""

    def __init__(self, bus: Bus, kind: str = "news") -> None:
        self.heard: list[tuple[str, Mapping[str, Any]]] = []
        bus.on(kind, lambda gateway, payload: self.heard.append((gateway, payload)))


def test_a_message_of_one_gateway_is_heard_once_by_all_others() -> None:
    async def scenario() -> None:
        network = Network()
        async with network.joined("north", "south", "east") as (north, south, east):
            diaries = [Recorder(bus) for bus in (north, south, east)]
            north.tell("news", {"room": 42})
            await asyncio.sleep(0.1)
            told = [("north", {"room": 42})]
            assert [recorder.heard for recorder in diaries] == [[], told, told]
            assert network.counts["south"]["repeated"]

    run(scenario())


def test_each_knows_the_others_soon_after_it_stands() -> None:
    async def scenario() -> None:
        async with Network().joined("north", "south") as (north, south):
            assert (north.others, south.others) == ({"south"}, {"north"})

    run(scenario())


def test_a_silent_gateway_is_gone_after_about_ten_seconds() -> None:
    async def scenario() -> None:
        network = Network()
        async with network.joined("north", "south") as (north, south):
            network.buses.remove(south)
            await south._tasks.close()
            await asyncio.sleep(BEAT * PATIENCE - 1)
            assert north.others == {"south"}
            await asyncio.sleep(BEAT + 2)
            assert north.others == frozenset()

    run(scenario())


def test_what_the_feeds_of_a_gateway_that_died_have_left_is_swept_away_by_the_others() -> None:
    async def scenario() -> None:
        network = Network()
        async with network.joined("north", "south", "east") as (_, south, east):
            feeds = network.feeds
            feeds["south"].entrances = ["feed.south.1"]
            feeds["east"].entrances = ["feed.east.1"]
            await asyncio.sleep(BEAT)
            # It moves, and says so at once.
            feeds["south"].entrances = ["feed.south.2", *(f"feed.south.2.{n}" for n in (1, 2, 5))]
            south.subscribed(0)
            await asyncio.sleep(0.1)
            network.buses.remove(south)
            await south._tasks.close()
            await east.close()
            await asyncio.sleep(BEAT * PATIENCE - 1)
            assert feeds["north"].swept == []
            await asyncio.sleep(BEAT + 2)
            left = ["feed.south.2", *(f"feed.south.2.{n}" for n in (1, 2, 5))]
            assert feeds["north"].swept == left, "east closes what it had itself"

    run(scenario())


def test_a_gateway_that_says_goodbye_is_gone_at_once() -> None:
    async def scenario() -> None:
        network = Network()
        async with network.joined("north") as (north,):
            south = network.bus("south")
            south.start()
            await asyncio.sleep(0.1)
            assert north.others == {"south"}
            await south.close()
            assert north.others == frozenset()

    run(scenario())


def test_a_word_that_the_goodbye_has_overtaken_brings_nobody_back() -> None:
    async def scenario() -> None:
        network = Network()
        async with network.joined("north") as (north,):
            recorder = Recorder(north)
            south = network.bus("south")
            south.start()
            await asyncio.sleep(0.1)
            network.latency = 5
            south.urge("news", {})
            network.latency = 0.01
            await south.close()
            await asyncio.sleep(10)
            assert north.others == frozenset()
            assert recorder.heard == []
            assert network.counts["north"]["stale"] == 1

    run(scenario())


def test_while_the_broker_is_away_nobody_is_declared_gone() -> None:
    async def scenario() -> None:
        network = Network()
        async with network.joined("north", "south") as (north, south):
            network.away = True
            await asyncio.sleep(60)
            assert (north.others, south.others) == ({"south"}, {"north"})
            network.away = False
            await asyncio.sleep(BEAT)
            assert (north.others, south.others) == ({"south"}, {"north"})

    run(scenario())


def test_a_gateway_that_lost_both_feeds_declares_nobody_gone() -> None:
    async def scenario() -> None:
        network = Network()
        async with network.joined("north", "south") as (north, south):
            network.deaf.add("north")
            network.feeds["north"].lose(0)
            network.feeds["north"].lose(1)
            await asyncio.sleep(SILENT)
            assert (north.others, south.others) == ({"south"}, {"north"})

    run(scenario())


def test_a_question_is_answered_by_all_others_at_once() -> None:
    async def scenario() -> None:
        async with Network().joined("north", "south", "east") as (north, south, east):

            async def slowly(payload: Mapping[str, Any]) -> Any:
                await asyncio.sleep(1)
                return payload["n"] + 1

            south.answer("add", lambda payload: payload["n"])
            east.answer("add", slowly)
            north.answer("add", lambda _: pytest.fail("who asks does not answer"))
            began = asyncio.get_running_loop().time()
            answers = await north.ask("add", {"n": 1}, within=60)
            assert (answers, answers.missing) == ({"south": 1, "east": 2}, {})
            assert asyncio.get_running_loop().time() - began < 2

    run(scenario())


def test_some_of_the_others_can_be_asked() -> None:
    async def scenario() -> None:
        async with Network().joined("north", "south", "east") as (north, south, east):
            south.answer("who", lambda _: "south")
            east.answer("who", lambda _: pytest.fail("it was not asked"))
            answers = await north.ask("who", {}, within=5, whom=["south", "west"])
            assert answers == {"south": "south"}
            assert answers.missing == {"west": "no gateway of this name is up"}

    run(scenario())


def test_nobody_to_ask_is_no_reason_to_wait() -> None:
    async def scenario() -> None:
        async with Network().joined("north") as (north,):
            began = asyncio.get_running_loop().time()
            answers = await north.ask("who", {}, within=5)
            assert (answers, answers.missing) == ({}, {})
            assert asyncio.get_running_loop().time() == began

    run(scenario())


def test_a_gateway_that_does_not_answer_in_time_is_named() -> None:
    async def scenario() -> None:
        async with Network().joined("north", "south", "east") as (north, south, _):
            south.answer("who", lambda _: "south")
            answers = await north.ask("who", {}, within=2)
            assert answers == {"south": "south"}
            assert answers.missing == {"east": "no answer within 2 s"}

    run(scenario())


def test_a_refusal_is_told_and_a_fault_is_not(
    caplog: pytest.LogCaptureFixture, failures: list[str]
) -> None:
    async def scenario() -> None:
        async with Network().joined("north", "south", "east") as (north, south, east):

            def refusing(_: Mapping[str, Any]) -> Any:
                raise Invalid("no node is called r9")

            south.answer("drain", refusing)
            east.answer("drain", lambda payload: payload["nothing"])
            answers = await north.ask("drain", {}, within=2)
            assert answers == {}
            assert answers.missing == {
                "south": "no node is called r9",
                "east": "the gateway failed; see its log",
            }

    run(scenario())
    assert "KeyError" in caplog.text
    assert failures == ["bus: a question 'drain' has failed"]
    failures.clear()


def test_a_late_answer_is_nobody_s() -> None:
    async def scenario() -> None:
        async with Network().joined("north", "south") as (north, south):

            async def late(_: Mapping[str, Any]) -> None:
                await asyncio.sleep(5)

            south.answer("who", late)
            assert (await north.ask("who", {}, within=2)).missing
            await asyncio.sleep(5)

    run(scenario())


def test_more_questions_than_can_be_answered_are_dropped() -> None:
    async def scenario() -> None:
        network = Network()
        async with network.joined("north", "south") as (north, south):
            south.answer("wait", lambda _: asyncio.sleep(3))
            asked = [north.ask("wait", {}, within=5) for _ in range(40)]
            answers = await asyncio.gather(*asked)
            assert sum(not each.missing for each in answers) == 32
            assert network.counts["south"]["dropped"] == 8

    run(scenario())


def test_messages_that_cannot_be_published_are_dropped_and_counted_and_delay_nobody() -> None:
    async def scenario() -> None:
        network = Network()
        async with network.joined("north", "south") as (north, south):
            recorder = Recorder(south)
            network.away = True
            for n in range(400):
                north.tell("news", {"n": n})
            await asyncio.sleep(10)
            network.away = False
            assert network.counts["north"]["dropped"] >= 400 - 256 - 4
            assert network.counts["north"]["not_confirmed"] >= 256
            north.tell("news", {"n": "last"})
            await asyncio.sleep(1)
            assert recorder.heard == [("north", {"n": "last"})]

    run(scenario())


def test_a_message_that_is_too_large_is_the_caller_s_fault() -> None:
    async def scenario() -> None:
        async with Network().joined("north") as (north,):
            with pytest.raises(ValueError, match="at most"):
                north.tell("news", {"long": "x" * MAX_BYTES})

    run(scenario())


def test_a_handler_that_fails_costs_the_others_nothing(failures: list[str]) -> None:
    async def scenario() -> None:
        async with Network().joined("north", "south") as (north, south):
            south.on("news", lambda _, payload: payload["nothing"])
            recorder = Recorder(south)
            north.tell("news", {})
            await asyncio.sleep(0.1)
            assert recorder.heard == [("north", {})]

    run(scenario())
    assert failures == ["bus: a message 'news' has failed"]
    failures.clear()


def test_a_stranger_cannot_command(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        network = Network()
        async with network.joined("north") as (north,):
            recorder = Recorder(north)
            stranger = network.bus("south", secret="t" * 32)
            stranger.start()
            stranger.tell("news", {})
            network.feeds["north"].bring(0, KEY, Frame("MESSAGE", (), b"kick everybody"))
            await asyncio.sleep(0.1)
            assert recorder.heard == []
            assert north.others == frozenset()
            assert network.counts["north"]["forged"] >= 2
            await stranger.close()

    run(scenario())
    assert "forged" in caplog.text


def test_a_goodbye_that_nobody_takes_does_not_hold_up_the_end() -> None:
    async def scenario() -> None:
        network = Network(latency=60)
        north = network.bus("north")
        north.start()
        began = asyncio.get_running_loop().time()
        await north.close()
        assert asyncio.get_running_loop().time() - began <= 1

    run(scenario())
