"""Budgets for tests, with some limits other than the defaults."""

from __future__ import annotations

import time
from typing import Any

from broker.timing.readings import Monotonic
from gateway.budget.budgets import Budgets
from gateway.config import Limits
from gateway.limits import LiveLimits


def budgets_of(*, clock: Monotonic = time.monotonic, **limits: Any) -> Budgets:
    """Budgets with these limits in force."""
    return Budgets(LiveLimits(Limits(**limits)), clock=clock)
