"""One feed after the other leads; what they give together is what one queue would have given."""

from functools import cache
from typing import NamedTuple

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from gateway.live.hub.comparison import CAPACITY_BYTES, SKEW
from gateway.live.hub.succession import HOLD, LAG, SETTLING, Broken, Succession

#: A time by which both feeds have been compared for long.
SETTLED = SETTLING + SKEW + 0.1


class Player:
    """Two feeds, 0 and 1, both subscribed at 0 s; feed 0 leads."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.succession: Succession[str] = Succession()
        self.succession.subscribed(0, 0.0)
        self.succession.subscribed(1, 0.0)
        # The comparison begins with the first message after a while.
        self.bring(0, "first", SETTLED - SKEW)
        self.bring(1, "first", SETTLED - SKEW)
        self.given.clear()

    def bring(self, feed: int, words: str, now: float) -> None:
        for word in words.split():
            self.given += self.succession.message(feed, word.encode(), word, 1, now)

    def lose(self, feed: int, now: float) -> None:
        self.given += self.succession.lost(feed, now)

    def check(self, now: float) -> None:
        self.given += self.succession.check(now)

    @property
    def text(self) -> str:
        return " ".join(self.given)


def test_the_leader_alone_is_heard() -> None:
    player = Player()
    player.bring(1, "a b", 5)
    player.bring(0, "a b c", 5)
    assert player.text == "a b c"


def test_the_follower_goes_on_where_the_leader_has_stopped() -> None:
    player = Player()
    player.bring(0, "a b", 5)
    player.bring(1, "a b c", 5)
    player.lose(0, 5.1)
    player.bring(1, "d", 5.2)
    assert player.text == "a b c d"
    assert player.succession.leader == 1


def test_a_follower_that_is_behind_repeats_nothing() -> None:
    player = Player()
    player.bring(0, "a b c", 5)
    player.bring(1, "a", 5)
    player.lose(0, 5.1)
    player.bring(1, "b c x", 5.2)
    assert player.text == "a b c x"


def test_where_the_orders_differ_it_takes_until_all_copies_have_come() -> None:
    player = Player()
    player.bring(0, "a b", 5)
    player.bring(1, "a x", 5)
    player.lose(0, 5.1)
    player.bring(1, "b y", 5.2)
    assert player.text == "a b"
    player.check(5.1 + SKEW + 0.01)
    assert player.text == "a b x y"


def test_the_same_message_twice_on_purpose_comes_twice() -> None:
    player = Player()
    player.bring(0, "a a", 5)
    player.bring(1, "a a a", 5)
    player.lose(0, 5.1)
    player.bring(1, "a", 5.2)
    assert player.text == "a a a a"


def test_the_feed_that_comes_back_takes_over_in_its_turn() -> None:
    player = Player()
    player.lose(0, 5)
    player.succession.subscribed(0, 6)
    player.bring(1, "a", 6 + SETTLING + 0.1)
    player.bring(0, "a", 6 + SETTLING + 0.1)
    later = 6 + SETTLED
    player.bring(0, "b", later)
    player.bring(1, "b c", later)
    player.lose(1, later)
    player.bring(0, "c d", later)
    assert player.text == "a b c d"


def test_a_feed_that_has_just_come_cannot_take_over() -> None:
    player = Player()
    player.lose(0, 5)
    player.succession.subscribed(0, 6)
    player.bring(1, "a", 6.1)
    with pytest.raises(Broken):
        player.lose(1, 6.2)
    assert player.succession.leader == 0


def test_both_feeds_gone_at_once_is_a_break_and_then_it_begins_anew() -> None:
    player = Player()
    player.lose(1, 5)
    with pytest.raises(Broken):
        player.lose(0, 5)
    assert not player.succession.led
    player.succession.subscribed(1, 6)
    player.bring(1, "a", 6)
    assert player.text == "a"


def test_what_nobody_else_brings_is_a_break() -> None:
    player = Player()
    player.bring(0, "a", 5)
    player.lose(0, 5)
    player.bring(1, "b", 5)
    assert player.text == "a", "b is held until it is known what became of a"
    with pytest.raises(Broken):
        player.check(5 + HOLD + 0.1)


def test_a_leader_that_is_late_loses_the_lead() -> None:
    player = Player()
    player.bring(1, "a b", 5)
    player.check(5 + LAG + 0.1)
    assert player.text == "a b"
    player.bring(0, "a b", 7)
    assert player.text == "a b"
    assert player.succession.leader == 1


def test_a_follower_that_is_late_is_compared_anew() -> None:
    player = Player()
    player.bring(0, "a", 5)
    player.check(5 + LAG + 0.1)
    with pytest.raises(Broken):
        player.lose(0, 6.2)


def test_equal_messages_in_different_orders_are_a_break() -> None:
    """Two producers: one sends ``d x``, the other ``d y``."""
    player = Player()
    player.bring(0, "d x", 5)
    player.bring(1, "d y d x", 5)
    player.lose(0, 5)
    with pytest.raises(Broken):
        player.check(5 + SKEW)


def test_equal_messages_in_one_order_are_none() -> None:
    player = Player()
    player.bring(0, "tick x tick", 5)
    player.bring(1, "tick x tick y tick", 5)
    player.lose(0, 5)
    assert player.text == "tick x tick y tick"


def test_a_message_that_cannot_be_passed_on_is_a_break() -> None:
    player = Player()
    assert player.succession.skipped(1, 5) == []
    with pytest.raises(Broken):
        player.succession.skipped(0, 5)


def test_nobody_takes_over_behind_a_message_that_it_could_not_read() -> None:
    player = Player()
    player.bring(0, "a", 5)
    player.bring(1, "a", 5)
    player.succession.skipped(1, 5.1)
    player.bring(1, "b", 5.1)
    with pytest.raises(Broken):
        player.lose(0, 5.2)
    assert player.text == "a", "one between a and b is missing"


class Sent(NamedTuple):
    channel: int
    content: str
    at: float


class Arrival(NamedTuple):
    at: float
    #: At once: in the order in which it was published.
    number: int
    feed: int
    content: str


_delays = st.floats(0, SKEW - 0.05)


@st.composite
def published(draw: st.DrawFn) -> tuple[list[Sent], list[Arrival]]:
    """Messages of several channels, and how they reach both feeds: in each channel's order.

    Feed 1 is bound after feed 0, and known to each channel's node within a while.
    """
    channels = draw(st.integers(1, 3))
    known = [draw(st.floats(0, SETTLING)) for _ in range(channels)]
    sent: list[Sent] = []
    arrivals: list[Arrival] = []
    latest: dict[tuple[int, int], float] = {}
    at = 0.0
    for number in range(draw(st.integers(1, 25))):
        at += draw(st.sampled_from([0.0, 0.0, 0.01, 0.3, 1.0, 3.0]))
        channel = draw(st.integers(0, channels - 1))
        sent.append(Sent(channel, draw(st.sampled_from("abcdefgh")), at))
        for feed in (0, 1):
            if feed == 1 and at < known[channel]:
                continue
            arrived = max(at + draw(_delays), latest.get((feed, channel), 0.0))
            latest[feed, channel] = arrived
            arrivals.append(Arrival(arrived, number, feed, sent[-1].content))
    return sent, sorted(arrivals)


def is_shuffle(given: list[str], channels: list[list[str]]) -> bool:
    """Whether a queue could have given this: every channel's messages, all of them in order."""

    @cache
    def from_(places: tuple[int, ...]) -> bool:
        done = sum(places)
        if done == len(given):
            return all(place == len(channels[n]) for n, place in enumerate(places))
        return any(
            place < len(channels[n])
            and channels[n][place] == given[done]
            and from_((*places[:n], place + 1, *places[n + 1 :]))
            for n, place in enumerate(places)
        )

    return from_((0,) * len(channels))


@settings(max_examples=1000, deadline=None)
@given(published(), st.floats(0, 30))
def test_what_is_given_is_what_one_queue_gives_or_broken_off(
    case: tuple[list[Sent], list[Arrival]], lost_at: float
) -> None:
    sent, arrivals = case
    succession: Succession[str] = Succession()
    succession.subscribed(0, 0.0)
    succession.subscribed(1, 0.0)
    given: list[str] = []
    end = max(arrivals[-1].at, lost_at) + 5
    happens: list[tuple[float, int, Arrival | None]] = [
        *((each.at, 1, each) for each in arrivals if each.feed == 1 or each.at <= lost_at),
        (lost_at, 2, None),
        *((tick / 4, 3, None) for tick in range(int(end * 4))),
    ]
    try:
        for at, kind, arrival in sorted(happens, key=lambda each: each[:2]):
            if arrival is not None:
                given += succession.message(
                    arrival.feed, arrival.content.encode(), arrival.content, 1, at
                )
            elif kind == 2:
                given += succession.lost(0, at)
            else:
                given += succession.check(at)
    except Broken:
        event("broken off")
        return
    event("passed over")
    channels = [[each.content for each in sent if each.channel == n] for n in range(3)]
    assert is_shuffle(given, channels), given


def test_what_a_follower_alone_has_brought_is_bounded_at_once() -> None:
    player = Player()
    for number in range(20):
        word = f"w{number}"
        player.succession.message(1, word.encode(), word, 1024 * 1024, 5)
    assert player.succession.held < CAPACITY_BYTES
    assert not player.succession.has_successor(5), "it cannot take over without what it forgot"
    with pytest.raises(Broken):
        player.lose(0, 5.1)


def test_a_gateway_that_was_taken_for_dead_has_a_break() -> None:
    player = Player()
    player.bring(0, "a", 5)
    player.bring(1, "a", 5)
    with pytest.raises(Broken):
        player.succession.swept(5.1)
    assert player.succession.led, "whoever comes next is let in"
