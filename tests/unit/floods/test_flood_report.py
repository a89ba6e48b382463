"""The report names every flood, its figures and what is wrong."""

import json
from dataclasses import replace
from datetime import UTC, datetime

from flood_suite import report
from flood_suite.judge import Cost, Result, Round, Spread, State, Window

STATE = State(memory=90_000_000, descriptors=60, connections=22, tasks=80)


def window(p99: float) -> Window:
    spread = Spread(0.008, p99, 100)
    return Window(spread, spread, spread, spread, Cost(0.25, 91_000_000, 61))


GOOD = Result(
    "pings",
    STATE,
    STATE,
    [Round(window(0.02), window(0.03), {"pings": 12_000}, memory=STATE.memory)],
)
BAD = Result("history-8", STATE, STATE, [Round(window(0.02), window(1.785), {"read 200": 5})])
BROKEN = Result("drip", failure="the process has ended")


def test_the_table_has_a_row_for_each_flood() -> None:
    table = report.table([GOOD, BAD, BROKEN])
    assert "| pings | 8.0/20 → 8.0/30 | 8.0/20 → 8.0/30 |" in table
    assert "| 25 → 25 | 91 → 91 → 90 | 61 → 61 → 60 | ok |" in table
    assert "| history-8 | 8.0/20 → 8.0/1785 |" in table
    assert "**harm**" in table
    assert "| drip |" in table
    assert "not measured" in table
    assert "pings: 12,000" in table
    assert "* history-8: p99 of deliveries 20 → 1785 ms (89.2 ×)" in table
    assert "* drip: not measured: the process has ended" in table


def test_it_says_when_nothing_is_wrong() -> None:
    assert "No flood did harm." in report.table([GOOD])


def test_a_line_tells_a_waiting_person_how_it_went() -> None:
    assert report.line(GOOD).endswith("posts 20 → 30 ms: no harm")
    assert "→ 1785 ms" in report.line(BAD)
    assert "the process has ended" in report.line(BROKEN)


def test_programs_get_everything() -> None:
    at = datetime(2026, 11, 29, tzinfo=UTC)
    document = json.loads(json.dumps(report.document([GOOD, BROKEN], at, store="sqlite")))
    assert document["store"] == "sqlite"
    first, second = document["floods"]
    assert first["rounds"][0]["flooded"]["deliveries"]["p99"] == 0.03
    assert first["faults"] == []
    assert second["faults"] == ["not measured: the process has ended"]


def test_it_says_what_all_floods_have_left_and_which_most_of_it() -> None:
    rounds = [
        Round(window(0.02), window(0.03), {}, memory=each) for each in (95_000_000, 99_000_000)
    ]
    keeper = Result("history-8", STATE, replace(STATE, memory=99_000_000), rounds)
    table = report.table([GOOD, keeper, BROKEN])
    assert "| 91 → 91 → 95, 99 |" in table
    assert "90 MB before the first flood, 99 MB after the last" in table
    assert "added by (MB) history-8 9, pings 0." in table
    assert "was not seen" in report.table([BROKEN])
