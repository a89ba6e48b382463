"""PostgreSQL, shared by all gateways, through asyncpg."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeVar

import asyncpg
from sqlalchemy import Connection, NullPool, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway.database_url import PostgresServer
from gateway.errors import StoreUnavailable
from gateway.payer import Bill
from gateway.store import post_function, schema
from gateway.store.database import CONNECTIONS, Readers
from gateway.store.failures import Consequence, consequence, reason, unavailable
from gateway.store.post_function import CHANNEL, PostLimits
from gateway.store.schema import Fit

T = TypeVar("T")
R = TypeVar("R")

#: Separate connections for pages, by what is in them.
SCANNERS: Final = {Readers.HISTORY: 4, Readers.STATE: 2}
#: Seconds, including the wait for another gateway that is migrating: an index of ten million
#: messages takes a minute.
MIGRATION_TIMEOUT: Final = 600.0
#: Seconds between two statements of a migration, after which the server ends it: it keeps posts
#: waiting. More passes than in a call, because each migration is a program that has to be read.
_MIGRATION_PAUSE: Final = 60.0
#: Seconds that a migration waits for a table that somebody uses. Whatever comes later to the table
#: waits behind it, so this is less than the time of a call; a VACUUM makes way after one second.
TABLE_PATIENCE: Final = 3.0
_ATTEMPTS: Final = 5
#: An arbitrary number, the same in every gateway. The gateway that holds this lock migrates; the
#: others wait.
_MIGRATION_LOCK: Final = 0x696E_7465_7261_6374
#: Errors of the database, its driver and the network. asyncpg's own errors come from dialling.
_FAILURES: Final = (
    DBAPIError,
    PoolTimeout,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)
#: Seconds between two times that all connections are given up, so that a server that does not
#: recover is not dialled anew for every call.
_LEAVE_INTERVAL: Final = 1.0
#: Ends the transaction of a gateway that hangs, so that it does not keep a stream locked for the
#: others.
_IDLE: Final = "idle_in_transaction_session_timeout"
#: Ends a statement that nobody waits for any more, also if the gateway is gone.
_STATEMENT: Final = "statement_timeout"
_EPOCH: Final = "epoch"
#: Seconds between two questions whether the connection that is listened on still works.
_STILL_THERE: Final = 10.0
_TABLES_ARE_IN: Final = text(
    "SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    " WHERE pg_class.oid = to_regclass('alembic_version')"
)
#: protocol_violation
_REFUSED_PARAMETER: Final = "08P01"


class PostgresDatabase:
    """A PostgreSQL server and this gateway's connections to it.

    ``timeout``: seconds that a call may take, including connecting and waiting for locks.
    ``connections``: the most that are open at once, besides those of :data:`SCANNERS`.
    ``posting``: the limits of messages that applications store in their own transactions.
    """

    def __init__(
        self,
        server: PostgresServer,
        *,
        timeout: float,
        connections: int = CONNECTIONS,
        posting: PostLimits | None = None,
    ) -> None:
        self._server = server
        self._posting = posting
        self._timeout = timeout
        self._pooled = server.pooled
        #: The current generation of connections; those of an earlier one are not used any more.
        self._epoch = 0
        self._left = -_LEAVE_INTERVAL
        #: Set when the connections that listen are given up with all others.
        self._listening: set[asyncio.Event] = set()
        self._engine = self._make(pool_size=connections, max_overflow=0, pool_timeout=timeout)
        self._scanning = {
            each: self._make(pool_size=size, max_overflow=0, pool_timeout=timeout)
            for each, size in SCANNERS.items()
        }
        # A transaction of one statement needs no BEGIN and COMMIT: one round trip, not three.
        self._quick = {
            engine: engine.execution_options(isolation_level="AUTOCOMMIT")
            for engine in (self._engine, *self._scanning.values())
        }
        self._threads = {each: ThreadPoolExecutor(1, f"postgresql-{each}") for each in SCANNERS}

    @property
    def name(self) -> str:
        return self._server.name

    @property
    def log_bytes(self) -> int:
        return 0

    @property
    def free_bytes(self) -> None:
        """Unknown: the disk is the server's."""
        return None

    async def read(self, query: Callable[[Connection], T]) -> T:
        return await self._ask(self._engine, query)

    async def scan(
        self,
        query: Callable[[Connection], R],
        make: Callable[[R], T],
        *,
        readers: Readers = Readers.HISTORY,
    ) -> T:
        found = await self._ask(self._scanning[readers], query)
        threads = self._threads[readers]
        return await asyncio.get_running_loop().run_in_executor(
            threads, Bill().of, lambda: make(found)
        )

    async def write(self, change: Callable[[Connection], T]) -> T:
        return await self._run(self._engine, change, writes=True)

    async def open(self, *, migrate: bool) -> str:
        try:
            return await asyncio.to_thread(asyncio.run, self._open(migrate=migrate))
        except _FAILURES as error:
            raise StoreUnavailable(f"PostgreSQL: {_advice(error)}") from error
        except ValueError:
            # Neither quoted nor chained: asyncpg takes a password with a bare "/" for a port and
            # quotes it.
            raise StoreUnavailable(
                "store.url is not a URL of PostgreSQL; in a user name or password the characters"
                " : / ? # @ % must be percent-encoded"
            ) from None

    async def verify(self) -> None:
        """Nothing to check: unlike a file, a server cannot be swapped under its connections."""

    async def hear(self, heard: Callable[[], None]) -> None:
        if self._pooled:
            # LISTEN belongs to one connection of the server.
            await asyncio.Event().wait()
        lost = asyncio.Event()
        try:
            connection = await self._connect(pooled=self._pooled)
        except _FAILURES as error:
            raise unavailable(error) from error
        # A server that has become a standby answers, and hears nothing any more.
        self._listening.add(lost)
        connection.add_termination_listener(lambda _: lost.set())
        try:
            async with asyncio.timeout(self._timeout):
                await connection.add_listener(CHANNEL, lambda *_: heard())
            heard()
            while not lost.is_set():
                # What is between may have forgotten the connection without telling either end.
                async with asyncio.timeout(self._timeout):
                    await connection.execute("SELECT 1")
                with suppress(TimeoutError):
                    async with asyncio.timeout(_STILL_THERE):
                        await lost.wait()
        except _FAILURES as error:
            raise unavailable(error) from error
        finally:
            self._listening.discard(lost)
            connection.terminate()

    async def close(self) -> None:
        for engine in self._scanning.values():
            await engine.dispose()
        await self._engine.dispose()
        for threads in self._threads.values():
            threads.shutdown(wait=False)

    async def _open(self, *, migrate: bool) -> str:
        engine = self._make(poolclass=NullPool)
        async with asyncio.timeout(MIGRATION_TIMEOUT), engine.begin() as connection:
            if migrate:
                return await connection.run_sync(_upgrade_alone, self._posting or PostLimits())
            return await connection.run_sync(_checked, self._posting)

    async def _ask(self, engine: AsyncEngine, query: Callable[[Connection], T]) -> T:
        return await self._run(engine if self._pooled else self._quick[engine], query, writes=False)

    async def _run(
        self, engine: AsyncEngine, work: Callable[[Connection], T], *, writes: bool
    ) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                for _ in range(_ATTEMPTS - 1):
                    try:
                        return await self._transaction(engine, work, writes=writes)
                    except DBAPIError as error:
                        if not self._may_go_on(error):
                            raise
                return await self._transaction(engine, work, writes=writes)
        except _FAILURES as error:
            if consequence(error) is Consequence.BUG:
                raise
            raise unavailable(error) from error

    async def _transaction(
        self, engine: AsyncEngine, work: Callable[[Connection], T], *, writes: bool
    ) -> T:
        epoch = self._epoch
        try:
            async with engine.begin() as connection:
                epoch = connection.info[_EPOCH]
                if writes and self._pooled:
                    await connection.exec_driver_sql(f"SET LOCAL {_IDLE} = {self._idle}")
                return await connection.run_sync(work)
        except DBAPIError as error:
            self._leave(error, epoch)
            raise

    def _may_go_on(self, error: DBAPIError) -> bool:
        """Whether to run the transaction again, possibly in another way."""
        match consequence(error):
            case Consequence.AGAIN:
                return True
            case Consequence.POOLED:
                # Of several concurrent transactions each finds this out for itself.
                if not self._pooled:
                    self._pooled = True
                    self._epoch += 1
                return True
            case _:
                return False

    def _leave(self, error: DBAPIError, epoch: int) -> None:
        now = time.monotonic()
        if (
            consequence(error) is Consequence.LEAVE
            and epoch == self._epoch
            and now - self._left >= _LEAVE_INTERVAL
        ):
            self._left = now
            self._epoch += 1
            for lost in self._listening:
                lost.set()

    @property
    def _idle(self) -> str:
        return f"{self._timeout * 1000:.0f}"

    def _make(self, **options: Any) -> AsyncEngine:
        def connect() -> Any:
            try:
                return self._dial(engine)
            except (asyncpg.PostgresError, driver.Error) as error:
                # PgBouncer refuses a parameter that it could not keep for the next transaction.
                if self._pooled or getattr(error, "sqlstate", None) != _REFUSED_PARAMETER:
                    raise
                self._pooled = True
                return self._dial(engine)

        engine = create_async_engine(
            "postgresql+asyncpg://", creator=connect, hide_parameters=True, **options
        )
        driver: Any = engine.sync_engine.dialect.dbapi
        event.listen(engine.sync_engine, "connect", self._connected)
        event.listen(engine.sync_engine, "checkout", self._check)
        return engine

    def _dial(self, engine: AsyncEngine) -> Any:
        pooled = self._pooled

        async def dial(*_: Any, **__: Any) -> Any:
            return await self._connect(pooled=pooled)

        # A prepared statement belongs to one connection; an unnamed one is sent with every use.
        statements: dict[str, Any] = (
            {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}
            if pooled
            else {}
        )
        # The same that create_async_engine does for its async_creator.
        driver: Any = engine.sync_engine.dialect.dbapi
        return driver.connect(async_creator_fn=dial, **statements)

    async def _connect(self, *, pooled: bool) -> Any:
        settings = self._server.settings
        if not pooled:
            # The operator's own statement_timeout comes first.
            settings = {_STATEMENT: self._idle} | settings | {_IDLE: self._idle}
        return await asyncpg.connect(
            self._server.url,
            timeout=min(self._timeout, self._server.connect_timeout or self._timeout),
            server_settings=settings,
            statement_cache_size=0 if pooled else 100,
        )

    def _connected(self, connection: object, record: Any) -> None:
        record.info[_EPOCH] = self._epoch

    def _check(self, connection: Any, record: Any, proxy: object) -> None:
        """Make the pool dial again after a restart of the server, or after its connections were
        given up.

        asyncpg notices a closed socket itself; asking the server instead (``pool_pre_ping``) costs
        three round trips per transaction.
        """
        if connection.driver_connection.is_closed() or record.info[_EPOCH] != self._epoch:
            raise DisconnectionError


def _upgrade_alone(connection: Connection, posting: PostLimits) -> str:
    _stand_alone(connection)
    connection.execute(text(f"SET LOCAL lock_timeout = {TABLE_PATIENCE * 1000:.0f}"))
    told = schema.migrated(connection)
    _renew_functions(connection, posting)
    return told


def _checked(connection: Connection, posting: PostLimits | None) -> str:
    """Check the tables; the functions for applications get the limits of a gateway that serves."""
    if posting is None:
        _find_tables(connection)
        return schema.described(connection)
    _stand_alone(connection)
    told = schema.described(connection)
    _renew_functions(connection, posting)
    return told


def _renew_functions(connection: Connection, posting: PostLimits) -> None:
    # Those of a newer version stay.
    if schema.found(connection).fit is Fit.CURRENT:
        post_function.install(connection, posting)


def _stand_alone(connection: Connection) -> None:
    """Keep every other gateway that opens the database waiting until the transaction ends."""
    # Another gateway that migrates, or a large table, may take longer than any other statement.
    connection.execute(text(f"SET LOCAL {_STATEMENT} = 0"))
    connection.execute(text(f"SET LOCAL {_IDLE} = {round(_MIGRATION_PAUSE * 1000)}"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    _find_tables(connection)


def _find_tables(connection: Connection) -> None:
    # Where the tables are, they stay. A login of the name "interact" would make new ones in the
    # schema of that name, which it has since gateway/store/post_function.py made it.
    if where := connection.execute(_TABLES_ARE_IN).scalar():
        connection.exec_driver_sql(f"SET LOCAL search_path TO {where}")


def _advice(error: Exception) -> str:
    """The error and its remedy, for the operator; the server's messages contain no password."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None) or ""
    if isinstance(cause, TimeoutError):
        return "no answer in time; is the server up, and is another gateway migrating?"
    if isinstance(cause, OSError):
        return f"cannot be reached ({cause}); is the server up, and are host and port right?"
    said = reason(error)
    if state.startswith("28"):
        return f"{said}; check user and password in store.url, and the server's pg_hba.conf"
    if state == "3D000":
        return f"{said}; create it: createdb <name>"
    if state == "55P03":
        return (
            f"{said}; somebody uses a table for long, perhaps pg_dump (pg_stat_activity tells);"
            " nothing was changed: try again when that has ended"
        )
    if state == "42501":
        return f"{said}; make the user the owner of the database, or grant CREATE on its schema"
    if state == "25006":
        return f"{said}; store.url must lead to the primary server, and it must take writes"
    return said
