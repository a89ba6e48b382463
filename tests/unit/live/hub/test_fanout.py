"""Everyone gets everything once, and nobody keeps the others waiting."""

import asyncio

import pytest

from broker.timing.clock import Clock
from gateway.errors import GatewayError, NotKept, TooSlow
from gateway.live.hub import fanout
from gateway.live.hub.delivery import Delivery, from_broker, from_history, head
from gateway.live.hub.fanout import FEW, PENDING, TURN, Broadcaster, FanOut, Subscriber
from tests.fake_clock import FakeClock
from tests.unit.live.fakes import STREAM, FakeClient, foreign, message, subscriber
from tests.virtual_time import run, settle

BUDGET = 1000
#: What the clock says a send costs.
COST = 0.0001


class CostlyClock(FakeClock):
    """A clock that advances by ``cost`` seconds each time that it is read."""

    def __init__(self, cost: float = COST) -> None:
        super().__init__(0.0)
        self.cost = cost

    def monotonic(self) -> float:
        self.now += self.cost
        return self.now


def delivery(body: str, *, instant: bool = False) -> Delivery:
    headers = () if instant else (("persistent", "true"),)
    return from_broker(foreign(body.encode(), *headers), STREAM, None, "/topic/t")


def broadcaster(clock: Clock | None = None) -> Broadcaster:
    return Broadcaster(FanOut(budget=lambda: BUDGET, clock=clock or FakeClock(0.0)))


def attended(by: int, out: Broadcaster) -> list[FakeClient]:
    clients = []
    for _ in range(by):
        client, each = subscriber()
        out.add(each)
        clients.append(client)
    return clients


def texts(client: FakeClient) -> list[str]:
    return [body.decode() for body in client.bodies]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The heads that frames were built for."""
    heads: list[bytes] = []
    build = Delivery.frame

    def counted(self: Delivery, head: bytes) -> bytes:
        heads.append(head)
        return build(self, head)

    monkeypatch.setattr(Delivery, "frame", counted)
    return heads


def test_a_frame_is_built_once_for_all_who_chose_the_same_id(built: list[bytes]) -> None:
    async def scenario() -> None:
        out = broadcaster()
        for id in ("a", "b") * 50:
            out.add(subscriber(id)[1])
        out.deliver(delivery("x"))
        await settle()
        assert len(built) == 2

    run(scenario())


def test_ids_that_all_differ_are_all_served() -> None:
    async def scenario() -> None:
        out = broadcaster()
        clients = []
        for n in range(100):
            client, each = subscriber(f"id {n}")
            out.add(each)
            clients.append(client)
        out.deliver(delivery("x"))
        await settle()
        assert [client.frames[0].get("subscription") for client in clients] == [
            f"id {n}" for n in range(100)
        ]

    run(scenario())


def test_all_of_one_turn_leave_in_one_write() -> None:
    async def scenario() -> None:
        out = broadcaster()
        (client,) = attended(1, out)
        for text in "abc":
            out.deliver(delivery(text))
        await settle()
        assert len(client.sink.chunks) == 1
        assert texts(client) == ["a", "b", "c"]

    run(scenario())


def test_messages_that_come_during_a_round_go_out_joined_in_the_next() -> None:
    async def scenario() -> None:
        out = broadcaster(CostlyClock())
        clients = attended(1000, out)
        for n in range(200):
            out.deliver(delivery(str(n)))
            await asyncio.sleep(0)
        await until_idle(out)
        assert all(texts(client) == [str(n) for n in range(200)] for client in clients[::100])
        assert len(clients[0].sink.chunks) < 60

    run(scenario())


def test_a_subscriber_that_joins_in_between_gets_nothing_twice_and_nothing_too_early() -> None:
    async def scenario() -> None:
        out = broadcaster(CostlyClock())
        attended(500, out)
        joined: list[tuple[int, FakeClient]] = []
        for n in range(60):
            out.deliver(delivery(str(n)))
            if n % 3:
                client, each = subscriber()
                out.add(each)
                joined.append((n, client))
            if n % 4 == 0:
                await asyncio.sleep(0)
        await until_idle(out)
        for n, client in joined:
            assert texts(client) == [str(m) for m in range(n + 1, 60)]

    run(scenario())


def test_a_leaving_client_gets_nothing_more_even_in_the_middle_of_a_round() -> None:
    async def scenario() -> None:
        out = broadcaster(CostlyClock())
        first, last = subscriber()[1], subscriber()
        out.add(first)
        attended(500, out)
        out.add(last[1])
        out.deliver(delivery("x"))
        await asyncio.sleep(0)
        assert out.busy
        out.remove(last[1])
        out.remove(first)
        await until_idle(out)
        assert last[0].sink.chunks == []
        assert len(out) == 500

    run(scenario())


def test_without_subscribers_nothing_is_kept() -> None:
    async def scenario() -> None:
        out = broadcaster()
        out.deliver(delivery("x"))
        assert not out.busy

    run(scenario())


def test_a_turn_is_bounded_and_a_large_topic_starves_neither_a_small_one_nor_a_timer() -> None:
    async def scenario() -> None:
        clock = CostlyClock()
        fan_out = FanOut(budget=lambda: BUDGET, clock=clock)
        large, small = Broadcaster(fan_out), Broadcaster(fan_out)
        attended(5000, large)
        (client,) = attended(1, small)
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                before = clock.now
                await asyncio.sleep(0)
                assert clock.now - before < TURN + 5 * COST
                ticks += 1

        ticking = asyncio.create_task(tick())
        large.deliver(delivery("large"))
        small.deliver(delivery("small"))
        await asyncio.sleep(0)
        assert texts(client) == ["small"]
        assert clock.now < TURN + 5 * COST
        await until_idle(large)
        assert ticks > 5000 * COST / TURN * 0.9
        ticking.cancel()

    run(scenario())


def test_above_the_budget_a_client_loses_what_is_instant_and_nothing_else() -> None:
    async def scenario() -> None:
        out = broadcaster()
        slow, quick = attended(2, out)
        slow.sink.backlog = BUDGET + 1
        quick.sink.backlog = BUDGET
        out.deliver(delivery("cursor", instant=True))
        out.deliver(delivery("answer"))
        await settle()
        out.deliver(delivery("cursor", instant=True))
        await settle()
        assert texts(slow) == ["answer"]
        assert texts(quick) == ["cursor", "answer", "cursor"]
        assert slow.ended is None

    run(scenario())


def test_above_twice_the_budget_a_client_is_too_slow_and_the_others_do_not_notice() -> None:
    async def scenario() -> None:
        out = broadcaster()
        stalled, quick = attended(2, out)
        stalled.sink.backlog = 10 * BUDGET
        out.deliver(delivery("x"))
        await settle()
        assert isinstance(stalled.ended, TooSlow)
        assert stalled.sink.chunks == []
        assert texts(quick) == ["x"]

    run(scenario())


def test_a_few_messages_may_wait_for_a_client_however_large_they_are() -> None:
    async def scenario() -> None:
        out = broadcaster()
        reading, stalled = attended(2, out)
        large = delivery("x" * BUDGET)
        reading.sink.backlog = FEW * len(large.tail)
        stalled.sink.backlog = FEW * len(large.tail) + 1
        out.deliver(large)
        await settle()
        assert reading.ended is None
        assert isinstance(stalled.ended, TooSlow)

    run(scenario())


def test_small_ones_may_wait_behind_a_few_large_ones_but_not_without_them() -> None:
    async def scenario() -> None:
        out, other_topic = broadcaster(), broadcaster()
        (client,) = attended(1, out)
        other_topic.add(Subscriber(client, "other"))
        client.sink.stuck = True
        for _ in range(3):
            out.deliver(delivery("x" * BUDGET))
            await settle()
        for topic in (out, other_topic):
            topic.deliver(delivery("small"))
            await settle()
        assert client.ended is None
        assert texts(client)[-2:] == ["small", "small"]
        client.sink.backlog = 0
        out.deliver(delivery("small"))
        await settle()
        assert client.ended is None
        client.sink.backlog = 10 * BUDGET
        out.deliver(delivery("small"))
        await settle()
        assert isinstance(client.ended, TooSlow)

    run(scenario())


def test_all_are_told_the_end_and_sent_nothing_more() -> None:
    async def scenario() -> None:
        out = broadcaster(CostlyClock())
        clients = attended(300, out)
        out.deliver(delivery("x"))
        out.end(NotKept("a hole"))
        assert len(out) == 0
        (new,) = attended(1, out)
        await asyncio.sleep(0)
        assert not all(client.ended for client in clients), "turn by turn"
        await until_idle(out)
        assert all(isinstance(client.ended, NotKept) for client in clients)
        assert all(client.sink.chunks == [] for client in clients)
        assert new.ended is None

    run(scenario())


def test_it_does_not_flow_while_more_comes_than_goes_out() -> None:
    async def scenario() -> None:
        out = broadcaster()
        attended(1, out)
        assert out.flowing.is_set()
        for _ in range(4):
            out.deliver(delivery("x" * (PENDING // 4)))
        assert not out.flowing.is_set()
        await asyncio.wait_for(out.flowing.wait(), 1)

    run(scenario())


def test_a_fault_with_one_client_stops_nobody_else() -> None:
    complaints: list[object] = []

    class Faulty(FakeClient):
        """A client that fails when it is ended."""

        def end(self, error: GatewayError | None) -> None:
            raise ZeroDivisionError

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: complaints.append(context["exception"])
        )
        fan_out = FanOut(budget=lambda: BUDGET, clock=FakeClock(0.0))
        one, other = Broadcaster(fan_out), Broadcaster(fan_out)
        faulty = Faulty()
        faulty.sink.backlog = 10 * BUDGET
        one.add(Subscriber(faulty, "s"))
        (behind,) = attended(1, one)
        (elsewhere,) = attended(1, other)
        one.deliver(delivery("1"))
        other.deliver(delivery("1"))
        await settle()
        assert texts(elsewhere) == ["1"]
        faulty.sink.backlog = 0
        one.deliver(delivery("2"))
        await settle()
        assert texts(behind) == ["1", "2"]

    asyncio.run(scenario())
    assert [type(each) for each in complaints] == [ZeroDivisionError]


def test_memory_kept_for_a_round_does_not_grow_with_the_ids(built: list[bytes]) -> None:
    batch = fanout.Batch([delivery("x")])
    for n in range(1000):
        batch.whole(head(str(n)))
    assert len(batch._whole) < 100
    assert len(built) == 1000


async def until_idle(out: Broadcaster) -> None:
    for _ in range(100_000):
        if not out.busy:
            return
        await asyncio.sleep(0)
    raise AssertionError("it never ends")


def test_deliveries_are_counted_and_the_oldest_of_a_round_tells_the_latency() -> None:
    async def scenario() -> None:
        times = [message(seq).sent_at.timestamp() for seq in (1, 2)]
        fan_out = FanOut(budget=lambda: BUDGET, clock=FakeClock(times[0] + 0.7))
        out = Broadcaster(fan_out)
        attended(3, out)
        for seq in (1, 2):
            out.deliver(from_history(message(seq), "/topic/t"))
        out.deliver(delivery("no number"))
        await settle()
        assert fan_out.deliveries == 9
        assert sum(fan_out.latency.counts) == 1
        assert fan_out.latency.sum == pytest.approx(0.7)
        out.deliver(delivery("no number"))
        await settle()
        assert fan_out.deliveries == 12
        assert sum(fan_out.latency.counts) == 1

    run(scenario())
