"""Turns of many clients: how much one turn of the loop takes, and who comes first."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from itertools import pairwise

import pytest

from gateway import rotation as rotation_of_clients
from gateway.rotation import (
    BETWEEN,
    HELD,
    LONGEST_HELD,
    LONGEST_REST,
    PAUSE,
    PROBING,
    REFUSALS,
    REQUEST,
    REST,
    TURN,
    Line,
    Rotation,
    Share,
    share_key,
)
from tests import virtual_time
from tests.virtual_time import settle


@pytest.fixture(autouse=True)
def _pause_of_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still here while turns of the loop are counted."""
    monkeypatch.setattr(rotation_of_clients, "PAUSE", 0.0)


class Clock:
    """Advances only by the work of the test."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Stage:
    """A rotation, the clock that its work advances, and the order in which clients were served."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.rotation = Rotation(clock=self.clock, cpu=self.clock)
        self.served: list[str] = []

    def ask(
        self, name: str, share: Share, *, seconds: float, times: int = 1, line: Line | None = None
    ) -> None:
        """Ask for a turn that takes so long, again and again."""

        def turn() -> None:
            self.served.append(name)
            self.clock.now += seconds
            if times > 1:
                self.ask(name, share, seconds=seconds, times=times - 1, line=line)

        self.rotation.wait(turn, share, line)

    def has_taken(self, seconds: float, share: Share) -> None:
        """A request is over, of which an estimate was counted when it began."""
        if seconds > share.request:
            self.rotation.charge(seconds - share.request, share)
        self.rotation.learn(seconds, share)


async def turns_of_the_loop(until: Callable[[], bool]) -> int:
    """Turns of the loop until something is so."""
    turns = 0
    while not until():
        await asyncio.sleep(0)
        turns += 1
        assert turns < 10_000
    return turns


def test_a_turn_of_the_loop_ends_however_many_clients_wait() -> None:
    async def main() -> None:
        stage = Stage()
        for n in range(1000):
            stage.ask(f"flooder {n}", Share(), seconds=TURN / 10, times=5)
        longest = 0.0
        while len(stage.served) < 5000:
            before = stage.clock.now
            await asyncio.sleep(0)
            longest = max(longest, stage.clock.now - before)
        # A turn that has begun is finished.
        assert TURN <= longest <= 1.2 * TURN

    virtual_time.run(main())


def test_a_client_that_asks_for_little_does_not_wait_for_those_that_ask_for_much() -> None:
    async def main() -> None:
        stage = Stage()
        modest = Share()
        for n in range(200):
            stage.ask(f"flooder {n}", Share(), seconds=TURN / 10, times=1000)
        # Every one of them has had a turn.
        await turns_of_the_loop(lambda: len(stage.served) >= 200)
        for asked in range(1, 20):
            # It asks for less than its share, a hundredth of what they take in a round.
            stage.ask("modest", modest, seconds=TURN / 1000)
            assert await turns_of_the_loop(lambda: stage.served.count("modest") == asked) <= 2  # noqa: B023
            await turns_of_the_loop(lambda: len(stage.served) >= 200 * (asked + 1))  # noqa: B023

    virtual_time.run(main())


def test_many_connections_of_one_client_have_one_share() -> None:
    async def main() -> None:
        stage = Stage()
        many, single = Share(), Share()
        for _ in range(100):
            stage.ask("many", many, seconds=TURN, times=10)
        stage.ask("single", single, seconds=TURN, times=100)
        await turns_of_the_loop(lambda: len(stage.served) >= 100)
        assert abs(Counter(stage.served)["single"] - 50) <= 1

    virtual_time.run(main())


def test_dear_turns_come_less_often_than_cheap_ones() -> None:
    async def main() -> None:
        stage = Stage()
        stage.ask("dear", Share(), seconds=3 * TURN, times=100)
        stage.ask("cheap", Share(), seconds=TURN, times=100)
        await turns_of_the_loop(lambda: len(stage.served) >= 80)
        assert abs(Counter(stage.served)["dear"] - 20) <= 1

    virtual_time.run(main())


def test_who_was_silent_has_saved_up_nothing() -> None:
    async def main() -> None:
        stage = Stage()
        silent, busy = Share(), Share()
        stage.ask("busy", busy, seconds=TURN, times=200)
        await turns_of_the_loop(lambda: len(stage.served) >= 100)
        stage.ask("silent", silent, seconds=TURN, times=100)
        await turns_of_the_loop(lambda: len(stage.served) >= 140)
        assert abs(Counter(stage.served[100:])["busy"] - 20) <= 1

    virtual_time.run(main())


def test_who_waits_is_not_passed_for_ever_by_clients_that_are_new() -> None:
    async def main() -> None:
        stage = Stage()
        stage.ask("regular", Share(), seconds=TURN, times=5)
        # As many as the loop has time for come anew, e.g. each from another address.
        for turn in range(100):
            for n in range(4):
                stage.ask(f"new {turn} {n}", Share(), seconds=TURN / 4)
            await asyncio.sleep(0)
        assert stage.served.count("regular") == 5

    virtual_time.run(main())


def test_what_a_client_had_while_nobody_waited_is_not_held_against_it_later() -> None:
    async def main() -> None:
        stage = Stage()
        frequent, other = Share(), Share()
        for n in range(1000):
            stage.has_taken((n % 2 + 1) * TURN, frequent)
            await settle()
        stage.ask("frequent", frequent, seconds=TURN, times=100)
        stage.ask("other", other, seconds=TURN, times=100)
        await turns_of_the_loop(lambda: len(stage.served) >= 40)
        assert abs(Counter(stage.served)["frequent"] - 20) <= 2

    virtual_time.run(main())


def test_what_a_client_has_beside_its_turns_counts_while_others_wait() -> None:
    async def main() -> None:
        stage = Stage()
        share, other = Share(), Share()
        stage.ask("other", other, seconds=TURN, times=100)
        stage.ask("charged", share, seconds=TURN, times=100)
        while (served := len(stage.served)) < 40:
            await turns_of_the_loop(lambda: len(stage.served) > served)
            # For each turn of either.
            stage.rotation.charge(TURN / 2, share)
        charged = Counter(stage.served)["charged"]
        # It has as much as the other one, and half of it beside its turns.
        assert 8 <= charged <= 14

    virtual_time.run(main())


def test_who_asks_for_much_has_a_turn_now_and_then_and_others_have_those_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        stage = Stage()
        stage.ask("much", Share(), seconds=TURN, times=1000)
        modest, waits = Share(), []
        # From here on it is known.
        await turns_of_the_loop(lambda: len(stage.served) >= 100)
        monkeypatch.setattr(rotation_of_clients, "PAUSE", PAUSE)
        for asked in range(1, 101):
            before = Counter(stage.served)["much"]
            stage.ask("modest", modest, seconds=TURN / 100)
            waits.append(
                await turns_of_the_loop(lambda: stage.served.count("modest") == asked)  # noqa: B023
            )
            assert Counter(stage.served)["much"] - before <= 1
        assert max(waits) <= 2
        # The modest one needed a hundred turns of the loop and more.
        assert Counter(stage.served)["much"] - 100 <= sum(waits) / BETWEEN + 1
        # Nobody is kept waiting for ever: not by others who work, ...
        much = Counter(stage.served)["much"]
        turns = 0
        while Counter(stage.served)["much"] == much:
            stage.rotation.charge(TURN / 2, Share())
            await asyncio.sleep(0)
            turns += 1
        assert turns <= BETWEEN + 1
        # ... and not while a turn of the loop is empty, which does not turn for nothing then.
        await settle()
        much = Counter(stage.served)["much"]
        assert not stage.rotation._scheduled
        await asyncio.sleep(2 * PAUSE)
        assert Counter(stage.served)["much"] > much

    virtual_time.run(main())


class Connection:
    """A connection of a share."""

    def __init__(self) -> None:
        self.had = 0.0


def test_a_connection_that_asks_for_little_does_not_wait_for_many_of_the_same_address() -> None:
    async def main() -> None:
        stage = Stage()
        school, page = Share(), Connection()
        for n in range(200):
            stage.ask(f"flooder {n}", school, seconds=TURN, times=1000, line=Connection())
        await turns_of_the_loop(lambda: len(stage.served) >= 500)
        for asked in range(1, 11):
            served = len(stage.served)
            stage.ask("page", school, seconds=TURN / 5, line=page)
            await turns_of_the_loop(lambda: stage.served.count("page") == asked)  # noqa: B023
            assert len(stage.served) - served <= 2
            await turns_of_the_loop(lambda: len(stage.served) >= served + 200)  # noqa: B023

    virtual_time.run(main())


def test_a_connection_that_waits_is_not_passed_for_ever_by_new_ones_of_its_address() -> None:
    async def main() -> None:
        stage, school = Stage(), Share()
        # It asks for much, and nobody else is about.
        stage.rotation.charge(1.0, school)
        stage.ask("page", school, seconds=TURN, times=5, line=Connection())
        # As many as the loop has time for come anew, each for one request.
        for turn in range(300):
            for n in range(4 if turn else 20):
                stage.ask(f"new {turn} {n}", school, seconds=TURN / 3.9, line=Connection())
            await asyncio.sleep(0)
        assert stage.served.count("page") == 5

    virtual_time.run(main())


def test_nobody_waits_for_others_who_are_not_there() -> None:
    async def main() -> None:
        stage = Stage()
        stage.ask("much", Share(), seconds=TURN, times=300)
        await turns_of_the_loop(lambda: len(stage.served) >= 200)
        assert await turns_of_the_loop(lambda: len(stage.served) >= 300) <= 101

    virtual_time.run(main())


def test_who_had_much_lately_waits_and_is_forgiven_soon() -> None:
    async def main() -> None:
        stage = Stage()
        rotation, share = stage.rotation, Share()
        assert rotation.may_work(share)
        for _ in range(12):
            rotation.charge(10 * TURN, share)
            stage.clock.now += 10 * TURN
            await settle()
        assert rotation.has_room
        # Nobody else is about.
        assert rotation.may_work(share)
        assert rotation.may_work(Share())
        assert not rotation.may_work(share)
        stage.clock.now += 2.0
        assert rotation.may_work(share)

    virtual_time.run(main())


def resting(stage: Stage) -> tuple[Share, Share]:
    """Two shares that ask for much, the first of which rests for a second of a thread's time."""
    shares = Share(), Share()
    for share in shares:
        stage.rotation.charge_too(1.0, share)
    stage.rotation.rest(0.1, shares[0])
    return shares


def test_who_lets_threads_compute_begins_nothing_for_a_multiple_of_that_time() -> None:
    async def main() -> None:
        stage = Stage()
        loop = asyncio.get_running_loop()
        stage.rotation = Rotation(clock=loop.time, cpu=loop.time)
        rests, other = resting(stage)
        stage.rotation.may_work(Share())
        stage.ask("rests", rests, seconds=0.0, times=2)
        stage.ask("other", other, seconds=0.0)
        await asyncio.sleep(2 * PAUSE)
        # It keeps nobody else waiting, though it came before.
        assert stage.served == ["other"]
        while loop.time() < REST * 0.1 - 0.02:
            # Somebody who asks for little is about.
            stage.rotation.may_work(Share())
            await asyncio.sleep(0.01)
        assert stage.served == ["other"]
        await asyncio.sleep(0.05)
        assert stage.served == ["other", "rests", "rests"]

    virtual_time.run(main())


def test_nobody_rests_for_threads_while_nobody_else_is_about_or_for_having_little() -> None:
    async def main() -> None:
        stage = Stage()
        rests, _ = resting(stage)
        stage.ask("alone", rests, seconds=0.0)
        await turns_of_the_loop(lambda: bool(stage.served))
        little = Share()
        stage.rotation.charge_too(0.001, little)
        stage.rotation.rest(0.001, little)
        stage.rotation.may_work(Share())
        stage.ask("little", little, seconds=0.0)
        await turns_of_the_loop(lambda: len(stage.served) == 2)

    virtual_time.run(main())


def test_a_rest_has_an_end() -> None:
    stage = Stage()
    share = Share()
    for _ in range(100):
        stage.rotation.rest(1.0, share)
    assert share.rests_until <= LONGEST_REST


def test_work_is_done_at_once_until_the_turn_of_the_loop_is_used_up() -> None:
    async def main() -> None:
        stage = Stage()
        rotation = stage.rotation
        assert rotation.has_room
        rotation.spend(TURN / 2)
        assert rotation.has_room
        rotation.spend(TURN / 2)
        assert not rotation.has_room
        await settle()
        assert rotation.has_room

    virtual_time.run(main())


def test_probes_have_room_beside_those_who_wait_but_no_flood_of_them() -> None:
    async def main() -> None:
        rotation = Stage().rotation
        rotation.wait(lambda: None, Share())
        rotation.spend(10 * TURN)
        for _ in range(round(PROBING / REQUEST)):
            assert rotation.may_probe(Share())
        assert not rotation.may_probe(Share())
        await settle()
        # One who never stops asks for much, and waits like any other; a balancer passes.
        flooder, balancer = Share(), Share()
        for _ in range(100):
            rotation.may_probe(flooder)
            await settle()
        assert not rotation.may_probe(flooder)
        assert rotation.may_probe(balancer)

    virtual_time.run(main())


def test_nobody_passes_those_who_wait() -> None:
    async def main() -> None:
        stage = Stage()
        stage.ask("first", Share(), seconds=0.0)
        assert not stage.rotation.has_room
        await settle()
        assert stage.served == ["first"]
        assert stage.rotation.has_room

    virtual_time.run(main())


def test_work_that_a_turn_only_begins_counts_as_well() -> None:
    async def main() -> None:
        stage = Stage()
        begun: list[int] = []

        def begin(n: int) -> None:
            begun.append(n)
            stage.rotation.spend(TURN / 4)

        for n in range(20):
            stage.rotation.wait(lambda n=n: begin(n), Share())  # type: ignore[misc]
        await turns_of_the_loop(lambda: bool(begun))
        assert begun == [0, 1, 2, 3]

    virtual_time.run(main())


def test_a_cancelled_turn_is_not_served_and_costs_the_others_nothing() -> None:
    async def main() -> None:
        stage = Stage()
        share = Share()
        waiting = stage.rotation.wait(lambda: stage.served.append("cancelled"), share)
        stage.ask("next", share, seconds=0.0)
        waiting.cancel()
        await settle()
        assert stage.served == ["next"]

    virtual_time.run(main())


def test_a_turn_has_the_context_of_who_waits_whoever_came_first() -> None:
    whose: ContextVar[str] = ContextVar("whose", default="-")
    seen = []

    async def scenario() -> None:
        stage = Stage()
        for name in ("first", "second"):
            context = copy_context()
            context.run(whose.set, name)
            context.run(stage.rotation.wait, lambda: seen.append(whose.get()), Share())
        await turns_of_the_loop(lambda: len(seen) == 2)

    asyncio.run(scenario())
    assert seen == ["first", "second"]


def test_a_turn_that_fails_does_not_end_the_rotation() -> None:
    async def main() -> None:
        stage = Stage()
        share = Share()
        failed: list[BaseException | None] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failed.append(context.get("exception")))

        def fail() -> None:
            raise ValueError("a fault")

        stage.rotation.wait(fail, share)
        stage.ask("the same client", share, seconds=0.0)
        stage.ask("another", Share(), seconds=0.0)
        await settle()
        assert sorted(stage.served) == ["another", "the same client"]
        assert [type(error) for error in failed] == [ValueError]

    virtual_time.run(main())


def test_a_user_has_one_share_and_unknown_clients_of_an_address_have_one() -> None:
    rotation = Rotation(clock=Clock(), cpu=Clock())
    mina = rotation.share(share_key("mina", "192.0.2.1"))
    assert rotation.share(share_key("mina", "192.0.2.2")) is mina
    unknown = rotation.share(share_key(None, "192.0.2.1"))
    assert unknown is not mina
    assert rotation.share(share_key(None, "192.0.2.1")) is unknown
    assert rotation.share(share_key(None, "192.0.2.2")) is not unknown
    # A client with IPv6 has a network of addresses.
    of_network = rotation.share(share_key(None, "2001:db8::1"))
    assert rotation.share(share_key(None, "2001:db8::2")) is of_network
    # A user may be called like an address.
    assert rotation.share(share_key("192.0.2.1", "")) is not unknown


def test_requests_count_for_what_they_take_and_soon_from_their_beginning() -> None:
    async def main() -> None:
        stage = Stage()
        dear, cheap = Share(), Share()
        waits = 0

        def begin(name: str, share: Share, seconds: float) -> None:
            """Begin a request, which is carried out later in the loop, and ask for the next."""

            def carry_out() -> None:
                stage.clock.now += seconds
                stage.served.append(name)
                stage.has_taken(seconds, share)
                ask(name, share, seconds)

            stage.rotation.spend(share.request)
            asyncio.get_running_loop().call_soon(carry_out)

        def ask(name: str, share: Share, seconds: float) -> None:
            stage.rotation.wait(lambda: begin(name, share, seconds), share)

        for _ in range(20):
            ask("dear", dear, 10 * REQUEST)
        ask("cheap", cheap, REQUEST)
        await turns_of_the_loop(lambda: len(stage.served) >= 200)
        assert 9 * REQUEST < dear.request < 11 * REQUEST
        assert cheap.request == REQUEST
        # Known to take more than a turn of the loop, they are begun one at a time.
        for _ in range(50):
            before = stage.clock.now
            await asyncio.sleep(0)
            waits = max(waits, round((stage.clock.now - before) / REQUEST))
        assert waits <= 11
        # However many of them wait, the other one's next request waits for one of them at most.
        assert ("dear", "dear") not in pairwise(stage.served[100:])

    virtual_time.run(main())


def test_who_asks_for_much_on_many_connections_hears_its_refusals_one_after_the_other() -> None:
    async def main() -> None:
        rotation, share, modest = Stage().rotation, Share(), Share()
        assert rotation.holds_refusal(share) == 0
        rotation.charge(100 * TURN, share)
        waits = [rotation.holds_refusal(share) for _ in range(1000)]
        assert waits[:2] == pytest.approx([HELD, HELD + 1 / REFUSALS])
        assert waits[100] == pytest.approx(HELD + 100 / REFUSALS)
        assert max(waits) == pytest.approx(LONGEST_HELD)
        assert rotation.holds_refusal(modest) == 0

    virtual_time.run(main())
