"""A queue's bindings: one request a key at a time, and in the end exactly what is wanted."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.feeds.bindings import (
    REQUESTS,
    TRANSITIONS,
    Bindings,
    Input,
    Request,
    State,
    UnexpectedAnswer,
)


def test_a_binding_stands_when_the_broker_says_so() -> None:
    bindings = Bindings()
    assert bindings.want("k") is Request.BIND
    assert (bindings.stands("k"), bindings.missing, bindings.unanswered) == (False, 1, 1)
    assert bindings.want("k") is None
    assert bindings.answered(Request.BIND) == ("k", None)
    assert (bindings.stands("k"), bindings.missing, bindings.unanswered) == (True, 0, 0)
    assert bindings.want("k") is None
    assert bindings.give_up("k") is Request.UNBIND
    assert (bindings.stands("k"), bindings.missing, list(bindings)) == (False, 0, ["k"])
    assert bindings.answered(Request.UNBIND) == ("k", None)
    assert bindings.give_up("k") is None
    assert list(bindings) == []


def test_a_key_that_is_wanted_again_before_the_answer_is_not_bound_twice() -> None:
    bindings = Bindings()
    bindings.want("k")
    assert bindings.give_up("k") is None
    assert bindings.want("k") is None
    assert bindings.answered(Request.BIND) == ("k", None)
    assert bindings.stands("k")


def test_a_key_that_is_given_up_before_the_answer_is_unbound_after_it() -> None:
    bindings = Bindings()
    bindings.want("k")
    assert bindings.give_up("k") is None
    assert bindings.missing == 0
    assert bindings.answered(Request.BIND) == ("k", Request.UNBIND)
    assert bindings.want("k") is None
    assert bindings.answered(Request.UNBIND) == ("k", Request.BIND)
    assert not bindings.stands("k")
    assert bindings.answered(Request.BIND) == ("k", None)
    assert bindings.stands("k")


@pytest.mark.parametrize("answer", Request)
def test_an_answer_to_nothing_is_an_error(answer: Request) -> None:
    bindings = Bindings()
    with pytest.raises(UnexpectedAnswer, match=f"a request to {answer} that was not made"):
        bindings.answered(answer)
    bindings.want("k")
    with pytest.raises(UnexpectedAnswer):
        bindings.answered(Request.UNBIND)


def test_every_answer_is_foreseen_and_only_a_request_has_one() -> None:
    waiting = {TRANSITIONS[each] for each in REQUESTS} | {State.UNWANTED, State.REWANTED}
    assert {state for state, input in TRANSITIONS if input is Input.ANSWERED} == waiting
    assert REQUESTS.keys() <= TRANSITIONS.keys()


class Broker:
    """Answers in order, whenever the test wants, as a slow RabbitMQ does."""

    def __init__(self) -> None:
        self.bindings = Bindings()
        self.bound: dict[str, bool] = {}
        self.asked: deque[tuple[str, Request]] = deque()

    def send(self, key: str, request: Request | None) -> None:
        if request is not None:
            assert key not in [each for each, _ in self.asked], "one request a key at a time"
            assert self.bound.get(key, False) is (request is Request.UNBIND)
            self.asked.append((key, request))

    def answer(self) -> None:
        if self.asked:
            key, request = self.asked.popleft()
            self.bound[key] = request is Request.BIND
            answered, following = self.bindings.answered(request)
            assert answered == key
            self.send(key, following)


@given(st.lists(st.tuples(st.sampled_from(["+", "-", "."]), st.sampled_from("abc")), max_size=60))
def test_whatever_is_wanted_in_the_end_stands_in_the_end(steps: list[tuple[str, str]]) -> None:
    broker, wanted = Broker(), set()
    for step, key in steps:
        match step:
            case "+":
                wanted.add(key)
                broker.send(key, broker.bindings.want(key))
            case "-":
                wanted.discard(key)
                broker.send(key, broker.bindings.give_up(key))
            case _:
                broker.answer()
        standing = {each for each in "abc" if broker.bindings.stands(each)}
        assert broker.bindings.missing == len(wanted - standing)
        assert broker.bindings.unanswered == len(broker.asked)
        # What counts as standing is bound, as far as the broker has said.
        assert all(broker.bound[each] for each in standing)
    while broker.asked:
        broker.answer()
    assert {key for key, bound in broker.bound.items() if bound} == wanted == set(broker.bindings)
