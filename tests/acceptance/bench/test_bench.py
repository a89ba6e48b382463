"""The benchmark works: RabbitMQ itself and the gateway, measured small and short."""

from pathlib import Path

import pytest

from bench_suite import report
from bench_suite.run import PYTHON, Scale
from bench_suite.suite import Plan, measure
from bench_suite.system import Lab
from devenv import tls
from devenv.cluster import Cluster

_SCALE = Scale(clients=10, seconds=1.0, many=20, quick=True)


def left_behind(cluster: Cluster) -> list[str]:
    """The users of the benchmark that RabbitMQ still has."""
    users = cluster.node(1).management("GET", "/api/users", cluster.admin)
    return [user["name"] for user in users if user["name"].startswith("bench")]


@pytest.mark.parametrize("scenario", ["fanout", "foreign"])
def test_the_gateway_is_measured_beside_rabbitmq_and_nothing_is_lost(
    scenario: str, cluster: Cluster, tmp_path: Path
) -> None:
    said: list[str] = []
    lab = Lab(cluster, tmp_path, tls.ensure(tmp_path / "tls"), 20, said.append)
    plan = Plan([scenario], ["direct", "shared"], tls=False, scale=_SCALE, workers=1)

    rows = measure(plan, lab)

    assert [(row.system, row.faults, row.failure) for row in rows] == [
        ("direct", 0, ""),
        ("shared", 0, ""),
    ]
    for row in rows:
        assert row.values["rate"] > 0
        assert 0 < row.values["p50"] <= row.values["p99"]
    shared = rows[1]
    assert shared.values["cpu_system"] > 0, "what the gateway cost was not seen"
    assert "×)" in report.tables(rows)
    assert said
    assert not left_behind(cluster)


def test_a_storm_of_relays_is_measured(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(cluster, tmp_path, tls.ensure(tmp_path / "tls"), 20, lambda text: None)
    plan = Plan(["storm-relays"], ["direct", "shared"], tls=False, scale=_SCALE, workers=1)

    rows = {row.system: row for row in measure(plan, lab)}
    shared = rows["shared"]

    # Beside the gateway the least that a relay in Python can cost is measured.
    assert set(rows) == {"direct", "shared", PYTHON}
    for row in rows.values():
        assert (row.faults, row.failure) == (0, "")
        assert row.values["rate"] > 0
        assert row.values["cpu_rabbitmq"] > 0
    assert shared.values["cpu_system"] > 0
    assert not left_behind(cluster)
