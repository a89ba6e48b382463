"""What harms the good room is told from noise."""

from dataclasses import replace

import pytest

from flood_suite.judge import (
    LEAST_DIFFERENCE,
    MOST_ENTRY,
    MOST_GROWTH,
    MOST_KEPT,
    MOST_LEFT,
    MOST_RATIO,
    Cost,
    Result,
    Round,
    Spread,
    State,
    Window,
    faults,
    harmed,
    left,
)

BEFORE = State(memory=90_000_000, descriptors=60, connections=22, tasks=80)
CALM = Window(
    deliveries=Spread(0.010, 0.050, 2000),
    posts=Spread(0.010, 0.050, 100),
    questions=Spread(0.010, 0.050, 10),
    entries=Spread(0.010, 0.050, 5),
    cost=Cost(0.2, 90_000_000, 60),
)


def slower(window: Window, seconds: float, what: str = "deliveries") -> Window:
    spread = replace(getattr(window, what), p99=seconds)
    return replace(window, **{what: spread})


def result(*rounds: Round, after: State = BEFORE) -> Result:
    return Result("pings", BEFORE, after, list(rounds))


def test_a_room_that_notices_nothing_is_not_harmed() -> None:
    judged = result(Round(CALM, CALM, {"pings": 7}))
    assert faults(judged) == []
    assert not harmed([judged])
    assert judged.tally == {"pings": 7}


@pytest.mark.parametrize("what", ["deliveries", "posts", "questions"])
def test_a_p99_beyond_the_ratio_is_harm(what: str) -> None:
    within = slower(CALM, MOST_RATIO * 0.050, what)
    assert faults(result(Round(CALM, within, {}))) == []
    beyond = slower(CALM, MOST_RATIO * 0.050 + 0.001, what)
    (fault,) = faults(result(Round(CALM, beyond, {})))
    assert "50 → 101 ms (2.0 ×)" in fault
    assert harmed([result(Round(CALM, CALM, {})), result(Round(CALM, beyond, {}))])


def test_a_difference_that_nobody_sees_is_no_harm_whatever_its_ratio() -> None:
    quick = slower(CALM, 0.002)
    assert faults(result(Round(quick, slower(CALM, 0.002 + LEAST_DIFFERENCE), {}))) == []
    assert faults(result(Round(quick, slower(CALM, 0.003 + LEAST_DIFFERENCE), {})))


def test_the_medians_of_the_rounds_are_compared() -> None:
    outlier = Round(CALM, slower(CALM, 9.0), {})
    good = Round(CALM, CALM, {})
    assert faults(result(good, outlier, good)) == []
    assert faults(result(outlier, good, outlier))


def test_timings_can_be_left_to_a_quiet_machine() -> None:
    judged = result(Round(CALM, slower(CALM, 9.0), {}))
    assert faults(judged, timings=False) == []
    assert not harmed([judged], timings=False)


def test_one_refusal_or_lost_connection_is_harm() -> None:
    refused = replace(CALM, wrong={"refused: POST 503 no_capacity": 1})
    assert faults(result(Round(CALM, refused, {})), timings=False) == [
        "1 × refused: POST 503 no_capacity"
    ]
    assert faults(result(Round(refused, CALM, {})), timings=False) == [
        "1 × refused: POST 503 no_capacity (without the flood)"
    ]


def test_who_comes_in_must_not_wait_for_long() -> None:
    slow = replace(CALM, entries=Spread(MOST_ENTRY + 0.5, 2.0, 4))
    assert faults(result(Round(CALM, slow, {})), timings=False) == []
    assert "p50 of coming in" in faults(result(Round(CALM, slow, {})))[0]


def test_a_room_in_which_nothing_arrives_is_harmed() -> None:
    silent = replace(CALM, deliveries=Spread())
    assert "nothing was delivered or posted" in faults(result(Round(CALM, silent, {})))


@pytest.mark.parametrize("name", ["descriptors", "connections", "tasks"])
def test_what_does_not_come_back_is_harm(name: str) -> None:
    before = getattr(BEFORE, name)
    assert left(BEFORE, replace(BEFORE, **{name: before + MOST_LEFT})) == ""
    remains = left(BEFORE, replace(BEFORE, **{name: before + MOST_LEFT + 1}))
    assert remains == f"leaves 16 {name}"
    assert faults(result(Round(CALM, CALM, {}, remains))) == [remains]


def test_memory_that_stays_is_harm() -> None:
    kept = replace(BEFORE, memory=BEFORE.memory + MOST_KEPT)
    assert faults(result(Round(CALM, CALM, {}), after=kept)) == []
    kept = replace(BEFORE, memory=BEFORE.memory + MOST_KEPT + 1_000_000)
    assert faults(result(Round(CALM, CALM, {}), after=kept)) == ["keeps 97 MB of memory"]


def test_a_flood_that_could_not_be_measured_has_failed() -> None:
    assert harmed([Result("pings", failure="the process has ended")], timings=False)


def test_percentiles_are_of_all_delays() -> None:
    spread = Spread.of(number * 1_000_000 for number in range(101))
    assert spread == Spread(0.050, 0.099, 101)
    assert Spread.of([]) == Spread(0.0, 0.0, 0)


def test_memory_that_grows_with_every_round_is_harm_and_what_comes_to_rest_is_not() -> None:
    def of(*memory: int) -> Result:
        return result(*(Round(CALM, CALM, {}, memory=each) for each in memory))

    step = MOST_GROWTH + 1
    assert faults(of(0, step, 2 * step)) == ["keeps 4 MB more with each round"]
    assert faults(of(0, 20 * step, 20 * step)) == []
    assert faults(of(0, step, 2 * step - 1)) == []
    # Two could be chance.
    assert faults(of(0, step)) == []
