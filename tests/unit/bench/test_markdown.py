"""The README's table says what the JSON says."""

from datetime import UTC, datetime

from bench_suite import markdown, report
from bench_suite.result import Row
from bench_suite.run import Scale
from bench_suite.suite import Plan

PLAN = Plan(["fanout", "storm"], ["direct"], False, Scale(500, 8.0, 5000, quick=False), workers=1)


def _comparison(*rows: Row) -> str:
    return markdown.comparison(report.document(rows, PLAN, datetime(2026, 1, 2, tzinfo=UTC)))


def _storm(system: str, rate: float, cpu: float, *, tls: bool = False) -> Row:
    return Row("storm", system, tls, {"rate": rate, "cpu_total": cpu})


def test_each_figure_stands_beside_the_best_of_the_others() -> None:
    text = _comparison(
        _storm("direct", 250, 4000), _storm("nginx", 200, 3000.4), _storm("shared", 2000, 400)
    )
    title = "all connect and subscribe at once"
    assert f"| {title}: clients/s | direct 250 | 2,000 | 8× |" in text
    assert f"| {title}: CPU µs/client | nginx 3,000 | 400 | 0.133× |" in text
    assert "2026-01-02" in text
    assert "500 clients" in text


def test_tls_stands_beside_tls_and_what_has_no_peer_alone() -> None:
    text = _comparison(
        _storm("nginx", 200, 3000),
        _storm("shared", 2000, 400, tls=True),
        Row("storm-many", "shared", False, {"rate": 1000, "cpu_total": 500}),
    )
    assert "at once, TLS: clients/s |  | 2,000 |  |" in text
    assert "so do very many: clients/s |  | 1,000 |  |" in text


def test_a_failed_measurement_has_no_figure_but_is_named() -> None:
    broken = _storm("shared", 2000, 400)
    broken.failure = "LoadFailed: 3 clients did not get in"
    text = _comparison(_storm("nginx", 200, 3000), broken)
    assert "2,000" not in text
    assert "storm, shared: LoadFailed: 3 clients did not get in" in text
