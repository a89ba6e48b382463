"""Leases of the gateways: each ends by the database's clock unless it is renewed."""

from __future__ import annotations

from secrets import token_bytes
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Double, bindparam, delete, insert, select, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement

from gateway.store.tables import gateways


class Now(ColumnElement[float]):
    """The database's time in seconds since the epoch. It goes on within a transaction."""

    type = Double()
    inherit_cache = True


@compiles(Now, "postgresql")
def _on_postgresql(now: Now, compiler: SQLCompiler, **_: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


@compiles(Now, "sqlite")
def _on_sqlite(now: Now, compiler: SQLCompiler, **_: Any) -> str:
    # 2440587.5 is the epoch's Julian day.
    return "((julianday('now') - 2440587.5) * 86400.0)"


#: The gateways whose lease has not ended.
LIVING: Final = select(gateways.c.id).where(gateways.c.expires > Now())


_RENEW: Final = (
    update(gateways)
    .where(gateways.c.id == bindparam("own"), gateways.c.expires > Now())
    .values(expires=Now() + bindparam("seconds", type_=Double()))
)


def renew(connection: Connection, *, gateway: UUID, seconds: float) -> bool:
    """See :meth:`gateway.store.store.Store.renew_lease`."""
    if connection.execute(_RENEW, {"own": gateway, "seconds": seconds}).rowcount:
        return True
    dead = delete(gateways)
    if connection.dialect.name != "sqlite":
        dead = dead.where(gateways.c.expires <= Now())
    # A SQLite file has one gateway, so a new one need not wait until its predecessor's lease ends.
    connection.execute(dead)
    connection.execute(insert(gateways).values(id=gateway, expires=Now() + seconds))
    return False


def probe(connection: Connection, gateway: UUID, size: int) -> None:
    """Write ``size`` random bytes that nobody reads; the lease stays as it is."""
    written = {"probe": token_bytes(size)}
    this = update(gateways).where(gateways.c.id == gateway)
    if connection.execute(this.values(written)).rowcount == 0:
        connection.execute(insert(gateways).values(written | {"id": gateway, "expires": 0.0}))


def end(connection: Connection, *, gateway: UUID) -> None:
    """End the gateway's lease; its outbox is free for others at once."""
    connection.execute(delete(gateways).where(gateways.c.id == gateway))
