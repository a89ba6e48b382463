"""Two feeds, one copy of everything."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.live.hub.deduplicator import Deduplicator
from tests.fake_clock import FakeClock


@given(st.lists(st.sampled_from("abc"), max_size=30), st.randoms())
def test_both_feeds_bring_all_and_each_passes_once_in_order(
    contents: list[str], rng: object
) -> None:
    deduplicator = Deduplicator(clock=FakeClock(0.0))
    behind = {0: 0, 1: 0}
    passed: list[str] = []
    while any(position < len(contents) for position in behind.values()):
        feed = rng.choice([f for f, at in behind.items() if at < len(contents)])  # type: ignore[attr-defined]
        content = contents[behind[feed]]
        behind[feed] += 1
        if deduplicator.passes(feed, id=None, content=content.encode()):
            passed.append(content)
    assert sorted(passed) == sorted(contents)


def test_the_same_words_said_twice_pass_twice() -> None:
    deduplicator = Deduplicator(clock=FakeClock(0.0))
    assert [deduplicator.passes(feed, id=None, content=b"yes") for feed in (0, 0, 1, 1, 1)] == [
        True,
        True,
        False,
        False,
        True,
    ]


def test_an_id_passes_once_whatever_comes_with_it() -> None:
    deduplicator = Deduplicator(clock=FakeClock(0.0))
    assert deduplicator.passes(0, id="a", content=b"1")
    assert not deduplicator.passes(0, id="a", content=b"1")
    assert not deduplicator.passes(1, id="a", content=b"2")
    assert deduplicator.passes(1, id="b", content=b"1")


def test_a_feed_that_begins_anew_brings_nothing_of_before() -> None:
    deduplicator = Deduplicator(clock=FakeClock(0.0))
    assert deduplicator.passes(0, id=None, content=b"tick")
    assert deduplicator.passes(0, id=None, content=b"tick")
    deduplicator.joined(1)
    assert deduplicator.passes(1, id=None, content=b"tick")
    assert not deduplicator.passes(0, id=None, content=b"tick")


def test_old_entries_are_forgotten() -> None:
    clock = FakeClock(0.0)
    deduplicator = Deduplicator(clock=clock, memory=30.0)
    assert deduplicator.passes(0, id="a", content=b"")
    assert deduplicator.passes(0, id=None, content=b"tick")
    clock.now = 31.0
    assert deduplicator.passes(1, id="a", content=b"")
    assert deduplicator.passes(1, id=None, content=b"tick")


def test_the_memory_is_bounded() -> None:
    deduplicator = Deduplicator(clock=FakeClock(0.0), capacity=2)
    for id in "abc":
        assert deduplicator.passes(0, id=id, content=b"")
    assert deduplicator.passes(1, id="a", content=b"")
    assert not deduplicator.passes(1, id="c", content=b"")
