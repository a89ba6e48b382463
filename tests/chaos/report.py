"""A verdict as text."""

from collections.abc import Sequence

from tests.chaos.checker import Verdict

_SHOWN = 10


def text(verdict: Verdict) -> str:
    """The observations, the cost of each kind of fault, and every broken rule."""
    lines = [", ".join(f"{name}: {number}" for name, number in sorted(verdict.counts.items())), ""]
    lines.append(
        f"{'during':18}{'faults':>7}{'topic p50/p99/max s':>26}{'queue p50/p99/max s':>26}"
        f"{'POST p50/p99/max s':>26}{'failed':>7}{'closed: topics':>15}{'queues':>7}{'tries':>6}"
        f"{'lag s':>7}{'removal p50/p99/max s':>26}"
    )
    for name, costs in sorted(verdict.costs.items()):
        lines.append(
            f"{name:18}{costs.faults:7}{_spread(costs.topic_delays):>26}"
            f"{_spread(costs.queue_delays):>26}{_spread(costs.post_times):>26}"
            f"{costs.failed_posts:7}{costs.topics_closed:15}{costs.queues_closed:7}"
            f"{costs.failed_attempts:6}{costs.longest_lag:7.2f}"
            f"{_spread(costs.removals):>26}"
        )
    lines.append("")
    lines += [f"{process}: {growing}" for process, growing in sorted(verdict.growths.items())]
    lines += verdict.sizes
    by_rule: dict[str, list[str]] = {}
    for violation in verdict.violations:
        by_rule.setdefault(violation.rule, []).append(violation.text)
    for rule, texts in by_rule.items():
        lines.append(f"VIOLATED {len(texts)} times: {rule}")
        lines += [f"    {each}" for each in texts[:_SHOWN]]
    lines.append(f"{len(verdict.violations)} violations")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    ordered = sorted(values)
    at = [ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99, 1.0)]
    return " / ".join(f"{value:.3f}" for value in at)
