"""Orders that are given on the command line: who gives them, and their entries in the journal."""

from __future__ import annotations

import os
import pwd
import sys
import time
from typing import Final

from gateway.cli.running import run, with_store
from gateway.config import Config
from gateway.domain.journal import Entry, EntryKind
from gateway.errors import StoreUnavailable
from gateway.store import Store

#: What stands in place of a gateway's name.
COMMAND_LINE: Final = "command line"


def giver() -> str:
    """The name of whoever gives orders here: the system's user, and who that was before sudo."""
    user, before = _system_user(), os.environ.get("SUDO_USER")
    person = user if before in (None, user) else f"{before} as {user}"
    return f"{COMMAND_LINE} ({person})"


async def note(
    settings: Config,
    store: Store,
    code: str,
    detail: str,
    *,
    user: str | None = None,
    room: int | None = None,
) -> None:
    """Write into the journal that an order was carried out: a stable word, and a text for people;
    ``user`` and ``room`` are those that it concerns. The order counts even if that fails, which is
    told."""
    if settings.journal.keep_days <= 0:
        return
    entry = Entry(
        at=time.time(),
        kind=EntryKind.ACTION,
        code=code,
        detail=detail,
        user=user,
        by=giver(),
        room=room,
    )
    try:
        await store.journal.add([entry], gateway=COMMAND_LINE)
    except StoreUnavailable as error:
        _warn(error)


def note_alone(settings: Config, code: str, detail: str) -> None:
    """As :func:`note`, after an order for which the database was not opened."""
    if settings.journal.keep_days <= 0:
        return
    try:
        run(with_store(settings, lambda store: note(settings, store, code, detail)))
    except StoreUnavailable as error:
        _warn(error)


def _warn(error: StoreUnavailable) -> None:
    sys.stderr.write(f"warning: the journal does not have this order: {error}\n")


def _system_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        # In a container the number may have no name.
        return f"uid {os.getuid()}"
