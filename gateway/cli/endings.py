"""The commands that end the access of users and tokens, on all gateways within a second."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.cli import orders
from gateway.cli.findings import say
from gateway.cli.running import Unusable, run, with_store
from gateway.config import Config
from gateway.domain.message import timestamp
from gateway.domain.revocation import (
    LONGEST_REASON,
    REMEMBERED,
    Revocation,
    Target,
    listed,
    terms,
)
from gateway.domain.user_name import carried_name, name_in_orders
from gateway.store import Store

#: Longer than the gateways' clocks may differ.
_SPARE: Final = timedelta(hours=1)


def show_sessions(options: argparse.Namespace, settings: Config) -> int:
    """Show a user's sessions: since when, when seen last (to the minute), until when, from where,
    with which browser, and the id."""
    for each in run(
        with_store(settings, lambda store: store.sessions_of(name_in_orders(options.name)))
    ):
        seen = each.last_seen or each.since
        times = (timestamp(moment) for moment in (each.since, seen, each.until))
        say("\t".join((*times, each.proof, each.address, each.device, each.id)))
    return 0


def end_user(options: argparse.Namespace, settings: Config) -> int:
    """End all sessions, tokens and connections of a user; they may log in again, unless they are
    kept out."""
    try:
        name = name_in_orders(carried_name(options.name))
    except ValueError as error:
        raise Unusable(str(error)) from error
    ended = _put(options, settings, Target.USER, name)
    say(f"ended {name}: {ended} sessions, and what is open by tokens")
    return 0


def revoke(options: argparse.Namespace, settings: Config) -> int:
    """Revoke one token, or all tokens of a subject, with everything that they have opened."""
    if options.jti is not None:
        if options.until is not None or options.minutes is not None:
            raise Unusable("a token that is revoked stays so: leave out --until and --minutes")
        target, claim = Target.TOKEN, options.jti
    else:
        target, claim = Target.SUBJECT, options.sub
    if not claim:
        raise Unusable(f"--{target} is empty")
    ended = _put(options, settings, target, listed(claim))
    say(f"revoked {target} {claim}: {ended} sessions, and what is open by tokens")
    return 0


def admit_user(options: argparse.Namespace, settings: Config) -> int:
    """Let a user in again who is kept out."""
    name = name_in_orders(options.name)

    async def admit(store: Store) -> bool:
        if not await store.admit(Target.USER, name):
            return False
        await orders.note(settings, store, "admit", f"let {name} in again", user=name)
        return True

    if not run(with_store(settings, admit)):
        raise Unusable(f"{options.name} is not kept out")
    say(f"admitted {options.name}")
    return 0


def show_revocations(_: argparse.Namespace, settings: Config) -> int:
    """Show whose access was ended: who or which token, since when, kept out until when, by whom and
    why."""
    for each in run(with_store(settings, lambda store: store.revocations())):
        until = "" if each.kept_out_until is None else timestamp(each.kept_out_until)
        name = f"{each.target} {each.value}"
        say("\t".join((name, timestamp(each.since), until, each.by, each.reason)))
    return 0


def _put(options: argparse.Namespace, settings: Config, target: Target, value: str) -> int:
    """Put an entry on the list. Returns the number of sessions that it has ended."""
    now = datetime.now(UTC)
    kept_out_until = options.until
    if options.minutes is not None:
        if not 0 < options.minutes <= REMEMBERED / timedelta(minutes=1):
            raise Unusable(f"--minutes must be within {REMEMBERED.days} days")
        kept_out_until = now + timedelta(minutes=options.minutes)
    if kept_out_until is not None and not now < kept_out_until <= now + REMEMBERED:
        raise Unusable(f"--until must be within the next {REMEMBERED.days} days")
    reason = options.reason.strip()
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise Unusable(f"a reason has up to {LONGEST_REASON} printable characters")
    entry = Revocation(
        target=target,
        value=value,
        since=now,
        until=now + REMEMBERED + _SPARE,
        kept_out_until=kept_out_until,
        reason=reason,
        by=orders.giver(),
    )

    async def put(store: Store) -> int:
        ended = len((await store.revoke(entry)).sessions)
        is_user = target is Target.USER
        code, what = (
            ("end_user", f"end all connections of {value}")
            if is_user
            else ("end_tokens", f"revoke tokens: {target} {value}")
        )
        what = f"{what}{terms(kept_out_until, reason)}: {ended} sessions"
        await orders.note(settings, store, code, what, user=value if is_user else None)
        return ended

    return run(with_store(settings, put))
