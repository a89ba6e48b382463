"""PostgreSQL, shared by all gateways, through asyncpg."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

import asyncpg
from sqlalchemy import Connection, NullPool, event, text
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.errors import StoreUnavailable
from gateway.store import schema

T = TypeVar("T")

CONNECTIONS: Final = 8
#: Seconds, waiting for another gateway that migrates included.
MIGRATION_TIMEOUT: Final = 60.0
#: Another gateway got in between: the transaction is run again and sees what it did.
#: unique_violation, serialization_failure, deadlock_detected;
#: https://www.postgresql.org/docs/current/errcodes-appendix.html
_CONFLICTS: Final = frozenset({"23505", "40001", "40P01"})
_ATTEMPTS: Final = 5
#: Any number, the same in every gateway: who holds it migrates, the others wait.
_MIGRATION_LOCK: Final = 0x696E_7465_7261_6374
#: A statement that is wrong is a bug; everything else is the database's state. asyncpg's own errors
#: come from dialling.
_AWAY: Final = (
    DBAPIError,
    PoolTimeout,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)
_BUGS: Final = (IntegrityError, ProgrammingError, DataError)


class PostgresDatabase:
    """``timeout``: seconds that a call may take, connecting and waiting for locks included."""

    def __init__(self, url: str, *, timeout: float, echo: bool) -> None:
        self._url = "postgresql" + url[url.index("://") :]
        self._timeout = timeout
        self._engine = self._make(
            echo=echo, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=timeout
        )
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)
        # A transaction of one statement needs no BEGIN and COMMIT: one round trip, not three.
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")

    async def read(self, query: Callable[[Connection], T]) -> T:
        return await self._run(self._reading, query)

    async def write(self, change: Callable[[Connection], T]) -> T:
        return await self._run(self._engine, change)

    async def migrate(self) -> None:
        try:
            await asyncio.to_thread(asyncio.run, self._migrate())
        except _AWAY as error:
            raise StoreUnavailable(f"PostgreSQL: {_advice(error)}") from error
        except ValueError:
            # Neither quoted nor chained: a password with a bare "/" is taken for a port, say.
            raise StoreUnavailable(
                "store.url is not a URL of PostgreSQL; in a user name or password the characters"
                " : / ? # @ % must be percent-encoded"
            ) from None

    async def close(self) -> None:
        await self._engine.dispose()

    async def _migrate(self) -> None:
        engine = self._make(poolclass=NullPool)
        async with asyncio.timeout(MIGRATION_TIMEOUT), engine.begin() as connection:
            await connection.run_sync(_upgrade_alone)

    async def _run(self, engine: AsyncEngine, work: Callable[[Connection], T]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                for _ in range(_ATTEMPTS - 1):
                    try:
                        return await _transaction(engine, work)
                    except DBAPIError as error:
                        if getattr(error.orig, "sqlstate", None) not in _CONFLICTS:
                            raise
                return await _transaction(engine, work)
        except _BUGS:
            raise
        except _AWAY as error:
            raise StoreUnavailable("the database is not available", retry_after=1.0) from error

    def _make(self, **options: Any) -> AsyncEngine:
        async def connect(*arguments: Any, **more: Any) -> Any:
            return await asyncpg.connect(
                self._url,
                timeout=self._timeout,
                server_settings={
                    "application_name": "interact-gateway",
                    # A gateway that hangs with a stream locked must not stop the others.
                    "idle_in_transaction_session_timeout": f"{self._timeout * 1000:.0f}",
                },
            )

        return create_async_engine(
            "postgresql+asyncpg://", async_creator=connect, hide_parameters=True, **options
        )


async def _transaction(engine: AsyncEngine, work: Callable[[Connection], T]) -> T:
    async with engine.begin() as connection:
        return await connection.run_sync(work)


def _refuse_closed(connection: Any, record: object, proxy: object) -> None:
    """Have the pool dial again after a restart of the server.

    asyncpg knows of the closed socket; asking the server (``pool_pre_ping``) takes three round
    trips a transaction.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _upgrade_alone(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    schema.upgrade(connection)


def _advice(error: Exception) -> str:
    """What is wrong and what would mend it; what the server says holds no password."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None) or ""
    if isinstance(cause, TimeoutError):
        return "no answer in time; is the server up, and is another gateway migrating?"
    if isinstance(cause, OSError):
        return f"cannot be reached ({cause}); is the server up, and are host and port right?"
    if state.startswith("28"):
        return f"{cause}; check user and password in store.url, and the server's pg_hba.conf"
    if state == "3D000":
        return f"{cause}; create it: createdb <name>"
    if state == "42501":
        return f"{cause}; make the user the owner of the database, or grant CREATE on its schema"
    return f"{cause}"
