"""Entrances of lost feeds: every session is asked to delete each, until one has."""

from broker.feeds.leftovers import Leftovers


class Sweeper:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def delete(self, entrance: str) -> None:
        self.asked.append(entrance)


def test_every_session_that_there_is_or_comes_is_asked_until_one_has_deleted_it() -> None:
    leftovers, first, second, late, later = Leftovers(), Sweeper(), Sweeper(), Sweeper(), Sweeper()
    with leftovers.swept_by(first), leftovers.swept_by(second):
        leftovers.add(["a", "b"])
        assert first.asked == second.asked == ["a", "b"]
    leftovers.add(["c"])
    assert first.asked == ["a", "b"], "it has ended"
    leftovers.deleted("a")
    leftovers.deleted("a")
    with leftovers.swept_by(late):
        assert late.asked == ["b", "c"]
    leftovers.deleted("b")
    leftovers.deleted("c")
    with leftovers.swept_by(later):
        assert later.asked == []


def test_beyond_its_capacity_the_oldest_is_forgotten() -> None:
    leftovers = Leftovers(capacity=2)
    leftovers.add(["a", "b", "b", "c"])
    assert list(leftovers) == ["b", "c"]
