"""The dashboard: the state of all gateways, and an admin's orders to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from broker.timing.readings import UtcTime
from gateway.admin.dashboard import Dashboard
from gateway.admin.gateways import Done, Gateways
from gateway.admin.orders import AdminAction, Order
from gateway.admin.rooms import ShownRooms
from gateway.admin.traces import Traces
from gateway.auth.permissions import Action, Permissions
from gateway.cluster.session_revocation import SessionRevocation
from gateway.domain.identity import Identity
from gateway.domain.journal import Entry, Search
from gateway.domain.revocation import REMEMBERED, Revocation, Target, terms
from gateway.errors import Invalid, NotKeptOut
from gateway.observe.events import Events, Kind

#: Days for which somebody may be kept out at most: the list forgets nobody before.
_LONGEST: Final = REMEMBERED.days


class JournalSearch(Protocol):
    """The journal of all gateways."""

    async def search(self, search: Search) -> list[Entry]:
        """The entries that fit, the latest first. Raises :class:`StoreUnavailable`."""


@dataclass(frozen=True, slots=True)
class Admin:
    """The services of the dashboard's handlers."""

    dashboard: Dashboard
    gateways: Gateways
    permissions: Permissions
    endings: SessionRevocation
    journal: JournalSearch
    rooms: ShownRooms
    traces: Traces
    events: Events
    clock: UtcTime

    async def check(self, who: Identity, *, sees: bool) -> None:
        """Return if ``who`` may do all this; with ``sees``, if they may see it. Raises
        :class:`Refused`."""
        await self.permissions.require(who, Action.OBSERVE if sees else Action.ADMINISTER)

    async def end_user(
        self, user: str, *, by: str, kept_out_until: datetime | None = None, reason: str = ""
    ) -> Done:
        """End everything that the user has open, and whatever they could come back with; with
        ``kept_out_until``, they cannot log in before.

        It counts when it is in the database, also for gateways that do not answer. Raises
        :class:`StoreUnavailable`: then nothing was done, or the next poll shows that it was.
        """
        await self.revoke(Target.USER, user, by=by, kept_out_until=kept_out_until, reason=reason)
        said = terms(kept_out_until, reason)
        return await self.gateways.order(
            Order(action=AdminAction.END_USER, target=user, by=by, terms=said)
        )

    async def end_tokens(
        self,
        target: Target,
        value: str,
        *,
        by: str,
        kept_out_until: datetime | None = None,
        reason: str = "",
    ) -> Done:
        """Revoke the tokens that ``target`` and ``value`` name, and end everything that they have
        opened. Counts and raises as :meth:`end_user`."""
        await self.revoke(target, value, by=by, kept_out_until=kept_out_until, reason=reason)
        name, said = f"{target} {value}", terms(kept_out_until, reason)
        return await self.gateways.order(
            Order(action=AdminAction.END_TOKENS, target=name, by=by, terms=said)
        )

    async def revoke(
        self,
        target: Target,
        value: str,
        *,
        by: str,
        kept_out_until: datetime | None = None,
        reason: str = "",
    ) -> None:
        """Put an entry on the revocation list. Raises :class:`Invalid`, :class:`RevocationsFull`,
        :class:`StoreUnavailable`."""
        now = self.clock()
        if kept_out_until is not None and not now < kept_out_until <= now + REMEMBERED:
            raise Invalid(f"until: must be within the next {_LONGEST} days")
        await self.endings.revoke(
            Revocation(
                target=target,
                value=value,
                since=now,
                until=now + REMEMBERED + timedelta(hours=1),
                kept_out_until=kept_out_until,
                reason=reason,
                by=by,
            )
        )

    async def revocations(self) -> list[Revocation]:
        """The newest entries of the revocation list. Raises :class:`StoreUnavailable`."""
        return await self.endings.listed()

    async def admit(self, target: Target, value: str, *, by: str) -> None:
        """Let somebody in again. Raises :class:`NotKeptOut`, :class:`StoreUnavailable`."""
        if not await self.endings.admit(target, value):
            raise NotKeptOut(f"{value} is not kept out")
        user = value if target is Target.USER else None
        self.events.note(Kind.ACTION, "admit", f"let {value} in again", user=user, by=by)
