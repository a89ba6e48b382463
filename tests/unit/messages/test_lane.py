from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from broker.topology import Topology
from gateway.messages.lane import Command, Entry, Lane, Publish, Read, Rest
from gateway.messages.publication import publication
from tests.unit.messages.fakes import STREAM, first_times, message

PLENTY = 1_000_000


def entry(seq: int) -> Entry:
    new = message(seq)
    return Entry(seq, new, publication(new, Topology()))


def lane_with(seqs: Iterable[int], *, window: int = 8) -> Lane:
    lane = Lane(STREAM, after=0, window=window)
    for seq in seqs:
        lane.add(entry(seq), memory=PLENTY)
    return lane


def commands(lane: Lane, memory: int = PLENTY) -> list[Command]:
    return list(lane.commands(memory=memory))


def published(given_commands: Iterable[Command]) -> list[int]:
    return [command.entry.seq for command in given_commands if isinstance(command, Publish)]


def test_everything_added_is_published_at_once_in_order() -> None:
    assert published(commands(lane_with([1, 2, 3]))) == [1, 2, 3]


def test_each_command_is_given_once() -> None:
    lane = lane_with([1, 2])
    commands(lane)
    assert commands(lane) == []


def test_a_new_lane_has_nothing_to_do_and_no_complaint() -> None:
    lane = Lane(STREAM, after=0, window=8)
    assert lane.stream == STREAM
    assert lane.is_done
    assert not lane.is_resting
    assert not lane.unroutable
    assert commands(lane) == []


def test_a_lane_whose_store_may_have_more_is_not_done_until_that_is_read() -> None:
    lane = Lane(STREAM, after=0, window=8)
    lane.read_on()
    assert not lane.is_done
    commands(lane)
    assert not lane.is_done
    lane.read([], complete=True, memory=PLENTY)
    assert lane.is_done


def test_a_lane_is_done_when_all_is_confirmed() -> None:
    lane = lane_with([1, 2])
    commands(lane)
    lane.confirmed(2)
    assert not lane.is_done
    lane.confirmed(1)
    assert lane.is_done


def test_a_failure_brings_a_rest_and_nothing_new_overtakes_what_failed() -> None:
    lane = lane_with([1, 2, 3])
    commands(lane)
    lane.failed(2)
    lane.add(entry(4), memory=PLENTY)
    assert commands(lane) == [Rest(1)]
    lane.failed(1)
    assert commands(lane) == []
    lane.rested()
    assert published(commands(lane)) == [1]
    lane.confirmed(1)
    assert published(commands(lane)) == [2, 4]


def test_after_a_failure_one_goes_alone_until_the_broker_confirms() -> None:
    lane = lane_with([1, 2, 3])
    commands(lane)
    for seq in (1, 2, 3):
        lane.failed(seq)
    commands(lane)
    for _ in range(3):
        lane.rested()
        assert published(commands(lane)) == [1]
        assert published(commands(lane)) == []
        lane.failed(1)
        commands(lane)
    lane.rested()
    assert published(commands(lane)) == [1]
    lane.confirmed(1)
    assert published(commands(lane)) == [2, 3]


def test_a_lane_rests_from_a_failure_until_it_has_rested() -> None:
    lane = lane_with([1])
    commands(lane)
    lane.failed(1)
    assert lane.is_resting
    assert not lane.unroutable, "a failure is no returned message"
    lane.rested()
    assert not lane.is_resting


def test_failures_in_a_row_are_counted_and_a_confirm_ends_the_row() -> None:
    lane = lane_with([1, 2])
    for failures in (1, 2, 3):
        commands(lane)
        lane.failed(2)
        assert commands(lane) == [Rest(failures)]
        lane.rested()
    commands(lane)
    lane.confirmed(1)
    lane.failed(2)
    assert commands(lane) == [Rest(1)]


def test_an_unroutable_publication_is_remembered_until_the_rest_is_over() -> None:
    lane = lane_with([1, 2])
    commands(lane)
    lane.failed(1, unroutable=True)
    lane.failed(2)
    assert lane.unroutable
    lane.rested()
    assert not lane.unroutable


def test_messages_beyond_the_window_are_read_from_the_store_when_half_of_it_is_free() -> None:
    lane = lane_with(range(1, 10), window=4)
    assert published(commands(lane)) == [1, 2, 3, 4]
    lane.confirmed(1)
    assert commands(lane) == []
    lane.confirmed(3)
    assert commands(lane) == [Read(after=4, limit=2)]


def test_messages_that_come_while_a_page_is_read_stay_behind_it() -> None:
    lane = Lane(STREAM, after=0, window=4)
    lane.read_on()
    assert commands(lane) == [Read(after=0, limit=4)]
    lane.add(entry(3), memory=PLENTY)
    lane.read([entry(1), entry(2)], complete=True, memory=PLENTY)
    now = commands(lane)
    assert now[0] == Read(after=2, limit=2)
    assert published(now) == [1, 2]


def test_a_message_that_the_page_brought_already_is_not_held_twice() -> None:
    lane = Lane(STREAM, after=0, window=4)
    lane.read_on()
    commands(lane)
    lane.read([entry(1), entry(2)], complete=True, memory=PLENTY)
    lane.add(entry(2), memory=PLENTY)
    assert published(commands(lane)) == [1, 2]
    lane.confirmed(1)
    lane.confirmed(2)
    assert lane.is_done


def test_the_memory_bounds_what_is_held_but_never_stops_the_lane() -> None:
    lane = Lane(STREAM, after=0, window=100)
    for seq in range(1, 51):
        lane.add(entry(seq), memory=3 * entry(1).size)
    assert lane.depth == 3
    tiny = Lane(STREAM, after=0, window=100)
    tiny.add(entry(1), memory=1)
    assert published(commands(tiny, memory=1)) == [1]


def test_a_page_larger_than_the_memory_is_read_in_parts() -> None:
    lane = Lane(STREAM, after=0, window=100)
    lane.read_on()
    assert commands(lane, memory=1) == [Read(after=0, limit=100)]
    lane.read([entry(1), entry(2), entry(3)], complete=True, memory=1)
    assert published(commands(lane, memory=1)) == [1]
    lane.confirmed(1)
    assert commands(lane, memory=1) == [Read(after=1, limit=100)]


def test_parked_messages_delay_nobody() -> None:
    lane = lane_with([1, 2, 3])
    commands(lane)
    lane.confirmed(2)
    lane.failed(1)
    lane.failed(3)
    commands(lane)
    lane.rested()
    assert published(commands(lane)) == [1]
    lane.parked(1)
    assert published(commands(lane)) == [3]
    lane.confirmed(3)
    assert lane.is_done


def test_after_what_is_parked_nothing_is_on_trial() -> None:
    lane = lane_with([1, 2, 3])
    commands(lane)
    for seq in (1, 2, 3):
        lane.failed(seq)
    commands(lane)
    lane.rested()
    assert published(commands(lane)) == [1]
    lane.parked(1)
    assert published(commands(lane)) == [2, 3]
    lane.failed(3)
    assert commands(lane) == [Rest(1)]


def test_the_store_is_read_when_half_the_memory_is_free() -> None:
    memory = 4 * entry(1).size
    lane = Lane(STREAM, after=0, window=100)
    for seq in range(1, 6):
        lane.add(entry(seq), memory=memory)
    assert published(commands(lane, memory)) == [1, 2, 3, 4]
    lane.confirmed(1)
    assert commands(lane, memory) == []
    lane.confirmed(2)
    assert commands(lane, memory) == [Read(after=4, limit=98)]


def test_of_a_page_what_is_done_is_passed_over_and_not_read_again() -> None:
    lane = Lane(STREAM, after=0, window=8)
    lane.read_on()
    commands(lane)
    page = [entry(1), entry(2), entry(3)]
    done = {page[0].message.id, page[2].message.id}
    lane.read(page, complete=False, memory=PLENTY, done=done)
    assert [*commands(lane)] == [Read(after=3, limit=7), Publish(page[1])]


def test_nothing_of_a_page_that_does_not_fit_is_passed_over() -> None:
    lane = lane_with([2])
    commands(lane)
    lane.read_anew()
    assert commands(lane) == [Read(after=0, limit=7)]
    lane.read([entry(1), entry(2), entry(3)], complete=True, memory=1)
    lane.confirmed(2)
    assert commands(lane) == [Read(after=0, limit=8)]


def test_it_awaits_what_it_holds_and_what_only_the_store_knows() -> None:
    lane = lane_with(range(1, 6), window=2)
    commands(lane)
    lane.confirmed(1)
    assert [lane.awaits(seq) for seq in range(1, 6)] == [False, True, True, True, True]


def test_it_awaits_no_message_that_was_the_last_to_be_read_and_is_confirmed() -> None:
    lane = lane_with(range(1, 6), window=2)
    commands(lane)
    lane.confirmed(2)
    assert [lane.awaits(seq) for seq in (1, 2, 3)] == [True, False, True]


def test_a_page_from_before_the_store_was_to_be_read_anew_is_not_used() -> None:
    lane = Lane(STREAM, after=5, window=8)
    lane.read_on()
    assert commands(lane) == [Read(after=5, limit=8)]
    lane.read_anew()
    assert commands(lane) == [], "one read at a time"
    lane.read([entry(6)], complete=True, memory=PLENTY)
    assert commands(lane) == [Read(after=0, limit=8)]
    lane.read([entry(4), entry(6)], complete=True, memory=PLENTY)
    assert published(commands(lane)) == [4, 6]


def test_a_page_that_is_asked_for_after_that_is_used() -> None:
    lane = lane_with([5, 6])
    assert published(commands(lane)) == [5, 6]
    lane.add(entry(7), memory=PLENTY)
    lane.read_anew()
    assert lane.depth == 2, "what is on the wire stays there, the rest is forgotten"
    assert commands(lane) == [Read(after=0, limit=6)]
    lane.read([entry(seq) for seq in range(4, 8)], complete=True, memory=PLENTY)
    assert published(commands(lane)) == [4, 7]
    for seq in range(4, 8):
        lane.confirmed(seq)
    assert lane.is_done


class AnyOrderOfEvents(RuleBasedStateMachine):
    """Carries out the commands of a lane in every order that may happen."""

    @initialize(window=st.integers(1, 5), memory=st.integers(1, 400), left=st.integers(0, 8))
    def start(self, window: int, memory: int, left: int) -> None:
        self.window, self.memory, self.stored = window, memory, left
        self.lane = Lane(STREAM, after=0, window=window)
        self.sent: list[int] = []
        self.confirmed: list[int] = []
        self.on_the_way: list[int] = []
        self.reads: list[Read] = []
        self.rests = 0
        if left:
            self.lane.read_on()
        self.carry_out()

    def carry_out(self) -> None:
        for command in self.lane.commands(memory=self.memory):
            match command:
                case Publish(of):
                    assert of.seq not in self.on_the_way
                    self.on_the_way.append(of.seq)
                    self.sent.append(of.seq)
                case Read():
                    self.reads.append(command)
                case Rest():
                    self.rests += 1

    @rule()
    def a_message_is_posted(self) -> None:
        self.stored += 1
        self.lane.add(entry(self.stored), memory=self.memory)
        self.carry_out()

    @precondition(lambda self: self.reads)
    @rule()
    def a_page_is_read(self) -> None:
        read = self.reads.pop()
        page = range(read.after + 1, self.stored + 1)[: read.limit]
        self.lane.read(
            [entry(seq) for seq in page], complete=len(page) < read.limit, memory=self.memory
        )
        self.carry_out()

    @precondition(lambda self: self.rests)
    @rule()
    def a_rest_ends(self) -> None:
        self.rests -= 1
        self.lane.rested()
        self.carry_out()

    @precondition(lambda self: self.on_the_way)
    @rule(index=st.integers(0, 4))
    def the_broker_confirms(self, index: int) -> None:
        seq = self.on_the_way.pop(index % len(self.on_the_way))
        self.confirmed.append(seq)
        self.lane.confirmed(seq)
        self.carry_out()

    @precondition(lambda self: self.on_the_way)
    @rule(index=st.integers(0, 4))
    def the_broker_refuses(self, index: int) -> None:
        seq = self.on_the_way.pop(index % len(self.on_the_way))
        self.confirmed.append(seq)
        self.lane.parked(seq)
        self.carry_out()

    @precondition(lambda self: self.on_the_way)
    @rule(index=st.integers(0, 4))
    def a_publication_fails(self, index: int) -> None:
        self.lane.failed(self.on_the_way.pop(index % len(self.on_the_way)))
        self.carry_out()

    @invariant()
    def bounds_are_kept(self) -> None:
        if hasattr(self, "lane"):
            assert self.lane.depth <= self.window
            assert len(self.reads) <= 1
            assert self.rests <= 1

    def teardown(self) -> None:
        """Once nothing fails any more, all is confirmed, each once and first sent in order."""
        while self.reads or self.rests or self.on_the_way:
            if self.reads:
                self.a_page_is_read()
            elif self.rests:
                self.a_rest_ends()
            else:
                self.the_broker_confirms(0)
        assert self.lane.is_done
        assert sorted(self.confirmed) == list(range(1, self.stored + 1))
        assert first_times(self.sent) == list(range(1, self.stored + 1))


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase
# No deadline: the machine may be busy.
TestAnyOrderOfEvents.settings = settings(deadline=None)
