"""The commands that delete by request, on all gateways within a second."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from gateway.cli import orders
from gateway.cli.findings import say
from gateway.cli.running import Unusable, run, with_store
from gateway.config import Config
from gateway.domain.erasure import Erasure
from gateway.domain.journal import ERASURE
from gateway.domain.message import timestamp
from gateway.domain.user_name import carried_name, name_in_orders
from gateway.store import Store


def erase_room(options: argparse.Namespace, settings: Config) -> int:
    """Delete a room: its messages, members, attendance and title. It is closed first."""
    return _erase(settings, room=options.room, user=None, reason=options.reason)


def erase_user(options: argparse.Namespace, settings: Config) -> int:
    """Delete what a user has said, and when they were there, in all rooms or in one. The account
    and the memberships stay."""
    try:
        user = name_in_orders(carried_name(options.name))
    except ValueError as error:
        raise Unusable(str(error)) from error
    return _erase(settings, room=options.room, user=user, reason=options.reason)


def show(_: argparse.Namespace, settings: Config) -> int:
    """Show what was deleted by request: when, which room or user, how much, by whom and why."""
    for each in run(with_store(settings, lambda store: store.erasures())):
        done = "goes on" if each.done_at is None else timestamp(each.done_at)
        times = (timestamp(each.ordered_at), done)
        say("\t".join((str(each.id), *times, _what(each), _how_much(each), each.by, each.reason)))
    return 0


def _erase(settings: Config, *, room: int | None, user: str | None, reason: str) -> int:
    if not reason.isprintable():
        raise Unusable("a reason has printable characters only")

    async def erase(store: Store) -> Erasure:
        ordered = await store.order_erasure(
            room=room, user=user, by=orders.giver(), reason=reason.strip(), at=datetime.now(UTC)
        )
        await orders.note(settings, store, ERASURE, ordered.nameless, room=room)
        return await store.carry_out_erasure(ordered)

    made = run(with_store(settings, erase))
    say(f"deleted {_what(made)}: {_how_much(made)} (no. {made.id} of the record)")
    return 0


def _what(entry: Erasure) -> str:
    where = "all rooms" if entry.room is None else f"room {entry.room}"
    return where if entry.user is None else f"{entry.user} in {where}"


def _how_much(entry: Erasure) -> str:
    return f"{entry.messages} messages, {entry.stays} stays in {entry.rooms} rooms"
