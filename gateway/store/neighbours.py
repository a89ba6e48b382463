"""The gateways' entries about themselves, in the table of leases: each writes its own, and reads
the others'."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, select, update

from broker.timing.readings import UnixTime
from gateway.store.leases import Now
from gateway.store.records import Meeting, Neighbour
from gateway.store.tables import gateways

_NOW: Final = select(Now())
_WRITE: Final = (
    update(gateways)
    .where(gateways.c.id == bindparam("own"))
    .values(name=bindparam("is_called"), hears=bindparam("hearing"), ahead=bindparam("is_ahead"))
)
_OTHERS: Final = select(gateways.c.name, gateways.c.hears, gateways.c.ahead).where(
    gateways.c.expires > Now(), gateways.c.id != bindparam("own"), gateways.c.name.is_not(None)
)


def meet(
    connection: Connection, *, gateway: UUID, name: str, hears: bool, clock: UnixTime
) -> Meeting:
    """See :meth:`gateway.store.store.Store.meet`."""
    before = clock()
    now: float = connection.execute(_NOW).scalar_one()
    ahead = (before + clock()) / 2 - now
    own = {"own": gateway, "is_called": name, "hearing": hears, "is_ahead": ahead}
    connection.execute(_WRITE, own)
    rows = connection.execute(_OTHERS, {"own": gateway})
    return Meeting(ahead, tuple(Neighbour(row.name, bool(row.hears), row.ahead) for row in rows))
