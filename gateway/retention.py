"""Deletion of old history, attendance, entries of the journal and logins, and the notes on when
logins were seen last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, NoReturn, Protocol

from broker.timing.readings import UtcTime
from gateway.domain.message import timestamp
from gateway.errors import StoreUnavailable

logger = logging.getLogger(__name__)

#: Seconds between two searches for old messages.
INTERVAL: Final = 3600.0
#: Seconds between two searches for cleared keys, and how long they are kept for readers who ask
#: what has changed.
KEYS: Final = 600.0
CLEARED: Final = timedelta(days=1)
#: How long at least, however many there are: longer than reading the whole state takes.
SPARED: Final = timedelta(minutes=10)
#: Seconds between two searches for old entries of the journal.
JOURNAL: Final = 600.0
#: How long the text of a message that hosts have decided about is kept beside the stream: for its
#: author, who may send it again, and for hosts who are asked why they refused it.
DECIDED: Final = timedelta(days=30)
#: Seconds between two searches for old sessions.
SESSIONS: Final = 600.0
#: How long after its own end a session is kept; the clocks of gateways must differ by less.
KEPT: Final = timedelta(hours=1)
#: Seconds between two notes on when sessions were seen last.
SEEN: Final = 60.0


class Prunable(Protocol):
    """The store, whose old messages and stays can be deleted."""

    async def prune(self, before: datetime) -> int: ...

    async def forget_stays(self, before: datetime) -> int: ...


async def keep(store: Prunable, *, days: int, clock: UtcTime) -> NoReturn:
    """Delete messages and stays older than ``days``, now and every hour, until cancelled. The log
    has what each time was done.

    A store that is away is asked again an hour later: old messages can wait.
    """
    while True:
        try:
            began = clock()
            before = began - timedelta(days=days)
            messages = await store.prune(before)
            stays = await store.forget_stays(before)
            logger.info(
                "retention: deleted %d messages and %d stays in rooms of before %s (%d days) in"
                " %.1f s; the next look is in an hour",
                messages,
                stays,
                timestamp(before),
                days,
                (clock() - began).total_seconds(),
            )
        except StoreUnavailable as error:
            logger.warning(
                "old messages could not be deleted; the next attempt is in an hour: %s", error
            )
        await asyncio.sleep(INTERVAL)


class PrunesRooms(Protocol):
    """The store, whose rooms may have ages of their own."""

    async def prune_rooms(self, now: datetime) -> int: ...


async def keep_rooms(store: PrunesRooms, *, clock: UtcTime) -> NoReturn:
    """Delete messages that are older than their own room keeps them, now and every hour, until
    cancelled. The log has what was done.

    A store that is away is asked again an hour later.
    """
    while True:
        try:
            if messages := await store.prune_rooms(clock()):
                logger.info(
                    "retention: deleted %d messages that their rooms keep no longer (keep_days of"
                    " a room); the next look is in an hour",
                    messages,
                )
        except StoreUnavailable as error:
            logger.warning(
                "old messages of rooms could not be deleted; the next attempt is in an hour: %s",
                error,
            )
        await asyncio.sleep(INTERVAL)


class KeepsKeys(Protocol):
    """The store, whose cleared keys, and texts that were decided about, can be forgotten."""

    async def forget_keys(self, before: datetime, *, spared: datetime) -> int: ...

    async def forget_decided(self, before: datetime) -> int: ...


async def forget_keys(store: KeepsKeys, *, clock: UtcTime) -> NoReturn:
    """Forget keys of rooms' state that were cleared a day ago, and all but the last ones of a room,
    and what hosts have approved or refused a month ago, every ten minutes, until cancelled.

    A store that is away is asked again ten minutes later.
    """
    while True:
        try:
            now = clock()
            if deleted := await store.forget_keys(now - CLEARED, spared=now - SPARED):
                logger.debug("forgot %d cleared keys of rooms' state", deleted)
            if deleted := await store.forget_decided(now - DECIDED):
                logger.debug("forgot %d texts that hosts had approved or refused", deleted)
        except StoreUnavailable as error:
            logger.warning(
                "cleared keys of rooms' state could not be forgotten; the next attempt is in ten"
                " minutes: %s",
                error,
            )
        await asyncio.sleep(KEYS)


class KeepsJournal(Protocol):
    """The journal, whose old entries can be deleted."""

    async def forget(self, before: datetime, *, most: int) -> int: ...


async def forget_journal(
    journal: KeepsJournal, *, days: int, most: int, clock: UtcTime
) -> NoReturn:
    """Delete entries of the journal older than ``days``, and the oldest of more than ``most``,
    every ten minutes, until cancelled.

    A store that is away is asked again ten minutes later.
    """
    while True:
        try:
            began = clock()
            before = began - timedelta(days=days)
            if deleted := await journal.forget(before, most=most):
                logger.info(
                    "retention: deleted %d entries of the journal (%d days, %d entries) in %.1f s",
                    deleted,
                    days,
                    most,
                    (clock() - began).total_seconds(),
                )
        except StoreUnavailable as error:
            logger.warning(
                "old entries of the journal could not be deleted; the next attempt is in ten"
                " minutes: %s",
                error,
            )
        await asyncio.sleep(JOURNAL)


class Forgetful(Protocol):
    """The store, whose old sessions can be deleted."""

    async def forget_sessions(self, before: datetime) -> int: ...


async def forget_sessions(store: Forgetful, *, clock: UtcTime) -> NoReturn:
    """Delete sessions, and entries of the revocation list, whose time is over, until cancelled.

    A store that is away is asked again ten minutes later.
    """
    while True:
        try:
            if deleted := await store.forget_sessions(clock() - KEPT):
                logger.debug("deleted %d sessions that were over", deleted)
        except StoreUnavailable as error:
            logger.warning(
                "old sessions could not be deleted; the next attempt is in ten minutes: %s", error
            )
        await asyncio.sleep(SESSIONS)


async def note_seen(write: Callable[[], Awaitable[None]]) -> NoReturn:
    """Note every minute when sessions were seen last, until cancelled. ``write`` may raise
    :class:`StoreUnavailable`; the next one writes what is left."""
    while True:
        await asyncio.sleep(SEEN)
        try:
            await write()
        except StoreUnavailable as error:
            logger.debug("when sessions were seen last could not be noted: %s", error)
