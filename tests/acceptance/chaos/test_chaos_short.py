"""The short form of `scripts/chaos`: some faults of each sort, judged by all the rules."""

from pathlib import Path

import pytest

from devenv.cluster import Cluster
from devenv.postgres import Postgres
from tests.chaos import report
from tests.chaos.performance import Cast
from tests.chaos.run import perform
from tests.chaos.schedule import Fault, Kind

pytestmark = [pytest.mark.cluster, pytest.mark.postgres]

_FAULTS = (
    Fault(Kind.KILL_NODE, 1, seconds=1, calm=1),
    Fault(Kind.CUT_CLIENTS, 4, seconds=0, calm=1),
    Fault(Kind.KILL_GATEWAY, 1, seconds=2, calm=3),
    Fault(Kind.RESTART_POSTGRES, 1, seconds=0, calm=3),
    Fault(Kind.BREAK_POOLS, 1, seconds=0, calm=2),
    Fault(Kind.FREEZE_POSTGRES, 1, seconds=6, calm=2),
    Fault(Kind.DRAIN_GATEWAY, 0, seconds=1, calm=3),
    # Longer than a gateway takes to say that it is cut off, and that its clock is wrong; without
    # a calm, what follows begins while it still recovers.
    Fault(Kind.CUT_OFF_GATEWAY, 1, seconds=21, calm=0),
    Fault(Kind.CLOCKS_APART, 0, seconds=14, calm=0),
    Fault(Kind.HANG_NODE, 2, seconds=5, calm=1),
)


def test_nothing_is_lost_doubled_swapped_or_leaked_whatever_fails(
    tmp_path: Path, cluster: Cluster, postgres: Postgres
) -> None:
    verdict = perform(
        _FAULTS,
        Cast(rooms=3, subscribers=12, rate=6),
        cluster,
        postgres,
        tmp_path,
        seed=1,
        gateways=2,
    )
    assert not verdict.violations, report.text(verdict)
    assert verdict.counts["answered 201"] > 50
    assert verdict.counts["message"] > 300
    assert verdict.counts["removed"] > 5
    for kind in (Kind.CUT_OFF_GATEWAY, Kind.CLOCKS_APART):
        assert verdict.counts[f"said during {kind}"]
