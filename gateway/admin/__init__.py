"""The dashboard: the state of all gateways, and an admin's orders to them."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.admin.dashboard import Dashboard
from gateway.admin.gateways import Gateways
from gateway.auth.permissions import Action, Permissions
from gateway.domain.identity import Identity


@dataclass(frozen=True, slots=True)
class Admin:
    """The services of the dashboard's handlers."""

    dashboard: Dashboard
    gateways: Gateways
    permissions: Permissions

    async def check(self, who: Identity) -> None:
        """Return if ``who`` may see and do all this. Raises :class:`Refused`."""
        await self.permissions.require(who, Action.ADMINISTER)
