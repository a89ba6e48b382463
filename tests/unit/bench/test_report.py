"""The report: ratios against the best peer, failures by name."""

import json
from datetime import UTC, datetime

from bench_suite import names, report
from bench_suite.result import Row, percentile
from bench_suite.run import OBVIOUS, TORNADO, Scale
from bench_suite.suite import SCENARIOS, Plan, unmeasured


def _rows(scenario: str, **rates: float) -> list[Row]:
    return [Row(scenario, system, False, {"rate": rate}) for system, rate in rates.items()]


def test_more_is_compared_with_the_most_and_less_with_the_least_of_the_peers() -> None:
    rows = [
        Row("fanout", "direct", False, {"rate": 100.0, "p99": 30.0}),
        Row("fanout", "nginx", False, {"rate": 200.0, "p99": 40.0}),
        Row("fanout", "shared", False, {"rate": 16_000.0, "p99": 6.0}),
    ]
    text = report.table("fanout", rows)
    shared = next(line for line in text.splitlines() if line.startswith("shared"))
    assert "16,000 (80×)" in shared
    assert "6.0 (0.2×)" in shared
    assert "×" not in next(line for line in text.splitlines() if line.startswith("nginx"))


def test_tls_is_compared_with_tls() -> None:
    rows = [
        *_rows("fanout", nginx=100, shared=300),
        Row("fanout", "nginx", True, {"rate": 50.0}),
        Row("fanout", "shared", True, {"rate": 200.0}),
    ]
    text = report.table("fanout", rows)
    assert "300 (3×)" in text
    assert "200 (4×)" in text


def test_a_peer_that_failed_is_no_measure() -> None:
    rows = _rows("fanout", direct=100, nginx=1000, shared=200)
    rows[1].failure = "it did not start"
    assert "200 (2×)" in report.table("fanout", rows)


def test_posting_is_compared_with_the_obvious_way_and_not_with_the_empty_handler() -> None:
    rows = [
        Row("post", OBVIOUS, False, {"rate": 350.0}),
        Row("post", TORNADO, False, {"rate": 1000.0}),
        *_rows("post", shared=700),
    ]
    assert "700 (2×)" in report.table("post", rows)


def test_failures_are_reported_with_their_reason() -> None:
    (row,) = _rows("storm", shared=1)
    row.faults, row.told = 2, ["3 came after 1"]
    text = report.tables([row])
    assert "2 faults" in text
    assert "storm: shared: 3 came after 1" in text


def test_the_document_is_json_with_values_and_ratios() -> None:
    rows = _rows("fanout", direct=100, shared=200)
    plan = Plan(["fanout"], ["direct", "shared"], False, Scale(5, 1.0, 10, quick=True), workers=1)
    document = report.document(rows, plan, datetime(2026, 1, 2, tzinfo=UTC))
    shared = json.loads(json.dumps(document))["rows"][1]
    assert (shared["system"], shared["values"]["rate"]) == ("shared", 200)
    assert shared["ratios"] == {"rate": 2}


def test_percentiles_are_values_that_came() -> None:
    values = list(range(100, 0, -1))
    assert (percentile(values, 0.5), percentile(values, 0.99)) == (51, 100)
    assert percentile([], 0.5) == 0


def test_a_figure_that_is_nothing_is_a_failure() -> None:
    figures = SCENARIOS["fanout"].figures
    row = Row("fanout", "shared", False, {figure.key: 1.0 for figure in figures})
    row.values["cpu_total"] = 0.0
    assert unmeasured(row, figures) == ""
    row.values["rate"] = 0.0
    del row.values["p99"]
    assert unmeasured(row, figures) == "nothing was measured: deliveries/s, p99 ms"


def test_the_command_line_knows_every_scenario() -> None:
    assert tuple(SCENARIOS) == names.SCENARIOS
