"""The dashboard: what it shows of all gateways, and what it has done by them."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.admin.dashboard import Dashboard
from gateway.admin.gateways import Gateways


@dataclass(frozen=True, slots=True)
class Admin:
    """What the handlers work with."""

    dashboard: Dashboard
    gateways: Gateways
