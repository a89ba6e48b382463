"""The dashboard: the state of all gateways, and an admin's orders to them."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.admin.dashboard import Dashboard
from gateway.admin.gateways import Gateways


@dataclass(frozen=True, slots=True)
class Admin:
    """The services of the dashboard's handlers."""

    dashboard: Dashboard
    gateways: Gateways
