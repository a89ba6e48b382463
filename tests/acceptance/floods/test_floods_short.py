"""The short form of `scripts/floods`: nothing of the good room is refused or lost, all comes back.

How long things take is judged by `scripts/floods` alone: tests run beside others.
"""

from pathlib import Path

import pytest

from bench_suite.system import Lab
from devenv import tls
from devenv.cluster import Cluster
from flood_suite import report
from flood_suite.catalogue import FLOODS
from flood_suite.judge import faults
from flood_suite.run import Plan, measure, site

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_no_flood_takes_anything_from_a_good_room(
    secure: bool, tmp_path: Path, cluster: Cluster
) -> None:
    lab = Lab(cluster, tmp_path, tls.ensure(tmp_path / "tls"), 0, lambda text: None)
    names = [name for name, entry in FLOODS.items() if entry.short]
    plan = Plan(names, rounds=1, seconds=2.0)

    with site(lab, tls=secure) as (running, at):
        results = list(measure(plan, lab, running, at))
        log = running.log.read_text(errors="replace")

    found = {result.name: faults(result, timings=False) for result in results}
    assert found == {name: [] for name in names}, report.table(results)
    for result in results:
        assert result.rounds[0].flooded.deliveries.count > 400, result.name
        assert result.tally, f"{result.name} did nothing"
    assert "Traceback" not in log, log[max(0, log.find("Traceback") - 500) :][:4000]
