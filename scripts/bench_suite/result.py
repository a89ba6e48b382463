"""The results as plain data: a row for each system in each scenario."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A column: ``better`` is "more" or "less" where a ratio to the best peer makes sense."""

    key: str
    title: str
    better: str = ""
    digits: int = 0


@dataclass
class Row:
    """The result of one system in one scenario.

    ``values`` by the figures' keys; ``spread``: the lowest and the highest of several rounds, whose
    median the value is; ``faults``: holes, repetitions, foreign messages, losses.
    """

    scenario: str
    system: str
    tls: bool
    values: dict[str, float] = field(default_factory=dict)
    faults: int = 0
    told: list[str] = field(default_factory=list)
    failure: str = ""
    spread: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.system} TLS" if self.tls else self.system

    @property
    def failed(self) -> bool:
        return bool(self.failure or self.faults)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def percentile(values: list[int], share: float) -> float:
    """The value below which a share of all values lies; 0 if there are none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))])
