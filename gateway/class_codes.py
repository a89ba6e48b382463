"""Coming into a room by its class code, with an account or as a guest.

The database alone knows the codes, so it does not matter which gateway a code was made at, or is
shown to. Guessing codes costs an address, and all addresses together, wrong codes; whoever is
logged in pays the same. A code that was right at an address before, or that its host has seen
there, is no guess: behind the address of a school that guesses too much its classes come in.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from broker.timing.readings import Monotonic, UnixTime
from gateway.auth.known_sessions import KnownSessions
from gateway.auth.permissions import NO_ROOMS, Action, Permissions
from gateway.auth.sessions import Sessions
from gateway.budget.addresses import network_of
from gateway.budget.budgets import Budgets
from gateway.budget.table import (
    ALL_WRONG_CODES,
    ENTRIES,
    GUESTS,
    JOINS,
    KNOCKS,
    MEMBER_CHANGES,
    ROOM_MEMBERS,
    WRONG_CODES,
)
from gateway.domain import guest
from gateway.domain.class_code import (
    ClassCode,
    Door,
    Guests,
    Knock,
    KnockState,
    class_code,
    new_code,
)
from gateway.domain.identity import Identity
from gateway.domain.room import MemberRole
from gateway.domain.session import LoginSession, Proof
from gateway.errors import (
    GatewayError,
    GuestsRefused,
    JoinsWait,
    NoCapacity,
    Refused,
    TurnedAway,
    UnknownCode,
    UnknownKnock,
)
from gateway.expiring import Expiring
from gateway.fair_turns import FairTurns
from gateway.store.class_codes import Entered, OneMore

#: Codes that are tried until one is free: of eleven million few are in use.
_ATTEMPTS: Final = 5
#: Codes that are looked up, and people who are let in, at the same time. The former bounds how many
#: codes more than the budget says can be tried; the latter leaves the database to those who post.
_LOOKED_UP_AT_ONCE: Final = 8
_LET_IN_AT_ONCE: Final = 4
#: Seconds that somebody may wait for a turn.
_LONGEST_WAIT: Final = 15.0
#: Seconds for which an address is known where a code was right, and how many are.
_RIGHT: Final = 3600.0
_MOST_RIGHT: Final = 10_000
#: Seconds after which somebody who knocked asks again: at first, one more for so many that have
#: passed, and at most.
_ASK_AGAIN: Final = 2.0
_SLOWER: Final = 10.0
_SLOWEST: Final = 8.0

#: The reason for which the sessions of guests end; guests are told it.
SENT_AWAY: Final = "the host has sent the guests away"


class CodeStore(Protocol):
    """The store of class codes, knocks and guests. Every method raises
    :class:`StoreUnavailable`."""

    async def class_code(self, room: int) -> ClassCode | None: ...

    async def put_class_code(
        self, room: int, code: str, guests: Guests, at: datetime, *, renew: bool
    ) -> ClassCode | None: ...

    async def withdraw_class_code(self, room: int) -> bool: ...

    async def door(self, code: str) -> Door | None: ...

    async def enter(
        self, room: int, code: str, user: str, name: str | None, *, one_more: OneMore
    ) -> Entered: ...

    async def enter_as_guest(
        self,
        room: int,
        code: str,
        nickname: str,
        session: LoginSession,
        *,
        one_more: OneMore,
        knock: str | None = None,
    ) -> Entered: ...

    async def add_knock(
        self, room: int, code: str, id: str, nickname: str, at: datetime, *, most: OneMore
    ) -> None: ...

    async def knock(self, id: str, now: datetime) -> Knock | None: ...

    async def knocks(self, room: int, now: datetime) -> list[Knock]: ...

    async def answer_knocks(
        self, room: int, numbers: Collection[int] | None, state: KnockState, now: datetime
    ) -> int: ...


class Changes(Protocol):
    """The revocation of memberships."""

    async def changed(self, room: int, user: str | None = None, *, ended: bool) -> None: ...


class Endings(Protocol):
    """The revocation of sessions."""

    async def end_guests(self, room: int, reason: str, *, remove: bool) -> int: ...


@dataclass(frozen=True, slots=True)
class Joined:
    """Somebody who is in the room. ``guest``: the identity in a new session, whose cookie is to be
    set; None: the caller's own login counts."""

    room: int
    role: MemberRole
    guest: Identity | None = None


@dataclass(frozen=True, slots=True)
class AtTheDoor:
    """Somebody who is not in the room yet, without an account. ``knock``: what to show the next
    time; None: a nickname is needed first. ``ask_again``: seconds until then."""

    title: str
    guests: Guests
    knock: str | None = None
    ask_again: float | None = None


class ClassCodes:
    """The service for class codes, and those who come by them.

    The methods for hosts raise the errors of :meth:`Permissions.require` and
    :class:`TooManyChanges`; all raise :class:`StoreUnavailable`.
    """

    def __init__(  # noqa: PLR0913 - the parts that must agree
        self,
        *,
        permissions: Permissions,
        store: CodeStore,
        changes: Changes,
        endings: Endings,
        sessions: Sessions,
        known: KnownSessions,
        budgets: Budgets,
        clock: UnixTime,
        monotonic: Monotonic,
    ) -> None:
        self._permissions = permissions
        self._store = store
        self._changes = changes
        self._endings = endings
        self._sessions = sessions
        self._known = known
        self._clock = clock
        self._calls = budgets.rate(JOINS)
        self._entries = budgets.rate(ENTRIES)
        self._guests = budgets.rate(GUESTS)
        self._wrong = budgets.rate(WRONG_CODES)
        self._all_wrong = budgets.rate(ALL_WRONG_CODES)
        self._knocks = budgets.cap(KNOCKS)
        self._members = budgets.cap(ROOM_MEMBERS)
        self._changes_by_hosts = budgets.rate(MEMBER_CHANGES)
        self._right: Expiring[str, bool] = Expiring(_MOST_RIGHT, _RIGHT, clock=monotonic)
        #: The codes that were right, or seen by their hosts, by the address's network.
        self._used: Expiring[tuple[str, str], bool] = Expiring(_MOST_RIGHT, _RIGHT, clock=monotonic)
        self._looking_up = FairTurns(_LOOKED_UP_AT_ONCE, of_user=_LOOKED_UP_AT_ONCE)
        self._letting_in = FairTurns(_LET_IN_AT_ONCE, of_user=_LET_IN_AT_ONCE)

    # For hosts

    async def show(self, who: Identity, room: int, *, address: str = "") -> ClassCode | None:
        """The room's code, if it has one: its hosts' pages ask every few seconds."""
        await self._permissions.require(who, Action.MANAGE_ROOM, room)
        found = await self._store.class_code(room)
        if found is not None:
            self._used.put((network_of(address), found.code), True)
        return found

    async def make(
        self, who: Identity, room: int, guests: Guests, *, renew: bool, address: str = ""
    ) -> ClassCode:
        """Let people in by the room's code, or by a new one: if there is none, or to ``renew`` it.
        Raises :class:`RoomClosed`."""
        await self._permissions.require(who, Action.MANAGE_ROOM, room)
        self._changes_by_hosts.take(who.user)
        for _ in range(_ATTEMPTS):
            made = await self._store.put_class_code(
                room, new_code(secrets.choice), guests, self._now(), renew=renew
            )
            if made is not None:
                self._used.put((network_of(address), made.code), True)
                return made
        raise NoCapacity("no free class code was found", retry_after=1.0)

    async def withdraw(self, who: Identity, room: int, *, send_away: bool) -> int:
        """Let nobody in by a code any more; ``send_away``: and end the guests' access. Returns how
        many guests that were. Without a code this is no error."""
        await self._permissions.require(who, Action.MANAGE_ROOM, room)
        self._changes_by_hosts.take(who.user)
        await self._store.withdraw_class_code(room)
        if not send_away:
            return 0
        return await self._endings.end_guests(room, SENT_AWAY, remove=True)

    async def knocks(self, who: Identity, room: int) -> list[Knock]:
        """Those who wait at the door."""
        await self._permissions.require(who, Action.MANAGE_ROOM, room)
        return await self._store.knocks(room, self._now())

    async def answer(
        self, who: Identity, room: int, numbers: Collection[int] | None, *, admit: bool
    ) -> int:
        """Let in, or refuse, those who wait at the door; None: all. Returns how many."""
        await self._permissions.require(who, Action.MANAGE_ROOM, room)
        self._changes_by_hosts.take(who.user)
        state = KnockState.ADMITTED if admit else KnockState.REFUSED
        return await self._store.answer_knocks(room, numbers, state, self._now())

    # For everybody

    async def join(
        self,
        written: str,
        *,
        who: Identity | None,
        nickname: str | None = None,
        knock: str | None = None,
        address: str = "",
        device: str = "",
    ) -> Joined | AtTheDoor:
        """Come in by a code as somebody has typed it: as ``who`` by an account (a guest of another
        room counts as nobody), otherwise by ``nickname``.

        Raises :class:`UnknownCode`, :class:`TooManyCodes`, :class:`TooManyJoins`,
        :class:`JoinsWait`, :class:`RoomFull`, :class:`Refused`, :class:`GuestsRefused`,
        :class:`TurnedAway`, :class:`UnknownKnock`, :class:`TooManyKnocks`.
        """
        self._calls.take(address or None)
        code, door = await self._look_up(written, address)
        room = door.room
        if who is not None and not guest.is_guest(who.user):
            return await self._enter(who, room, code)
        if who is not None and guest.room_of(who.user) == room:
            # Somebody who scans the code again is in already, unless the host has ended that.
            role = await self._role(who, room)
            if role is not None:
                return Joined(room, role)
        if knock is not None:
            return await self._by_knock(door, code, knock, address=address, device=device)
        if door.guests is Guests.NO:
            raise GuestsRefused("log in: this room is for people with an account")
        if nickname is None:
            return AtTheDoor(door.title, door.guests)
        with self._share_of(room, address):
            if door.guests is Guests.YES:
                return await self._enter_as_guest(
                    room, code, nickname, address=address, device=device
                )
            return await self._knock(door, code, nickname)

    async def _look_up(self, written: str, address: str) -> tuple[str, Door]:
        network, code = network_of(address), class_code(written)
        try:
            async with self._looking_up.turn(network, urgent=False, within=_LONGEST_WAIT):
                known = network in self._right
                if code is None or (network, code) not in self._used:
                    self._wrong.check(address or None)
                    if not known:
                        self._all_wrong.check()
                found = None if code is None else await self._store.door(code)
                if code is not None and found is None:
                    self._used.discard((network, code))
                    self._wrong.spend(address or None)
                    if not known:
                        self._all_wrong.spend()
        except TimeoutError:
            raise JoinsWait("too many are coming in at once; wait", retry_after=5.0) from None
        if code is None or found is None:
            raise UnknownCode("no open room has this class code")
        self._right.put(network, True)
        self._used.put((network, code), True)
        return code, found

    async def _enter(self, who: Identity, room: int, code: str) -> Joined:
        if who.login is not None:
            raise Refused(NO_ROOMS)
        role = await self._role(who, room)
        if role is not None:
            return Joined(room, role)
        self._entries.take(room)
        async with self._turn(room):
            entered = await self._store.enter(
                room, code, who.user, who.display_name, one_more=self._members.against
            )
        await self._changes.changed(room, who.user, ended=False)
        return Joined(room, entered.role)

    async def _enter_as_guest(
        self,
        room: int,
        code: str,
        nickname: str,
        *,
        address: str,
        device: str,
        knock: str | None = None,
    ) -> Joined:
        self._entries.take(room)
        opened = self._sessions.open(
            Identity(guest.new_guest(room, secrets.choice), frozenset(), math.inf)
        )
        record = LoginSession(
            id=opened.session or "",
            user=opened.user,
            proof=Proof.GUEST,
            since=self._now(),
            until=datetime.fromtimestamp(opened.expires_at, UTC),
            address=address,
            device=device,
        )
        async with self._turn(room):
            entered = await self._store.enter_as_guest(
                room, code, nickname, record, one_more=self._members.against, knock=knock
            )
        self._known.add(record)
        await self._changes.changed(room, opened.user, ended=False)
        return Joined(room, entered.role, replace(opened, display_name=entered.name))

    @contextmanager
    def _share_of(self, room: int, address: str) -> Iterator[None]:
        """Each network has its own share of each room, of which the block takes one if it succeeds.
        Whoever is told to wait comes again: a class that had to would have used it up by that."""
        share = (room, network_of(address))
        self._guests.take(share)
        try:
            yield
        except BaseException:
            self._guests.spend(share, cost=-1.0)
            raise

    async def _knock(self, door: Door, code: str, nickname: str) -> AtTheDoor:
        self._entries.take(door.room)
        id = secrets.token_urlsafe(18)
        async with self._turn(door.room):
            await self._store.add_knock(
                door.room, code, id, nickname, self._now(), most=self._knocks.against
            )
        return AtTheDoor(door.title, door.guests, id, _ASK_AGAIN)

    async def _by_knock(
        self, door: Door, code: str, id: str, *, address: str, device: str
    ) -> Joined | AtTheDoor:
        found = await self._store.knock(id, self._now())
        if found is None or found.room != door.room:
            raise UnknownKnock("nobody waits by this knock any more; knock again")
        if found.state is KnockState.REFUSED:
            raise TurnedAway("the host has not let you in")
        if found.state is KnockState.WAITING:
            waited = (self._now() - found.since).total_seconds()
            ask_again = min(_ASK_AGAIN + waited / _SLOWER, _SLOWEST)
            return AtTheDoor(door.title, door.guests, id, ask_again)
        return await self._enter_as_guest(
            door.room, code, found.nickname, address=address, device=device, knock=id
        )

    async def _role(self, who: Identity, room: int) -> MemberRole | None:
        """Somebody's role in the room; None: no member."""
        try:
            return await self._permissions.require(who, Action.SEE_ROOM, room)
        except Refused:
            return None

    @asynccontextmanager
    async def _turn(self, room: int) -> AsyncIterator[None]:
        """A turn at changing the room's members. Raises :class:`JoinsWait`."""
        try:
            await self._letting_in.begin(room, within=_LONGEST_WAIT)
        except TimeoutError:
            raise JoinsWait("too many are coming in at once; wait", retry_after=5.0) from None
        try:
            yield
        except GatewayError as error:
            self._members.count(error)
            raise
        finally:
            self._letting_in.end(room)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
