"""``/api/rooms/{room}/code`` and ``…/knocks`` for hosts, ``/api/join`` for everybody."""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal, NotRequired

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from gateway.class_codes import AtTheDoor, Joined
from gateway.domain.class_code import LONGEST_INPUT, ClassCode, Guests, Knock
from gateway.domain.guest import nickname
from gateway.domain.identity import Identity
from gateway.domain.message import timestamp
from gateway.domain.room import MemberRole
from gateway.errors import (
    GuestsRefused,
    JoinsWait,
    NotAuthenticated,
    RoomClosed,
    RoomFull,
    TooManyChanges,
    TooManyCodes,
    TooManyJoins,
    TooManyKnocks,
    TurnedAway,
    UnknownCode,
    UnknownKnock,
)
from gateway.http.api import ApiHandler
from gateway.http.body import Body
from gateway.http.contract.operation import OF_USERS, Answer, Operation, Who
from gateway.http.contract.shapes import Moment, Number
from gateway.http.session_cookie import device_of, identity_json, set_session

#: Bytes of a body, which anybody may send.
_MOST_BODY: Final = 4 * 1024
#: Knocks that are answered by one call: as many as may wait, and more.
_MOST_ANSWERED: Final = 10_000

_Numbers = tuple[Number, ...]
_Nickname = Annotated[str, AfterValidator(nickname)]
_Answered = Annotated[_Numbers, Field(strict=False, max_length=_MOST_ANSWERED)] | Literal["all"]


class NewCode(Body):
    """The body that makes a room's code, or changes whom it lets in."""

    guests: Annotated[Guests, Field(strict=False)] = Guests.NO
    renew: bool = False


class Withdrawal(Body):
    """The query that withdraws a room's code."""

    guests: Literal["stay", "end"] = "stay"


class Answers(Body):
    """The body that answers knocks, by their numbers."""

    admit: _Answered = ()
    refuse: _Answered = ()


class Join(Body):
    """The body of somebody who comes by a class code. ``knock``: what the first call answered."""

    code: Annotated[str, Field(max_length=LONGEST_INPUT)]
    nickname: _Nickname | None = None
    knock: Annotated[str, Field(max_length=32)] | None = None


class ShownCode(TypedDict):
    """A code. ``url``: where its QR leads, seen from the gateway."""

    code: str
    url: str
    guests: Guests


class ShownWithdrawal(TypedDict):
    """The number of guests who were sent away."""

    ended: int


class ShownKnock(TypedDict):
    """Somebody who waits at the door."""

    number: int
    name: str
    since: Moment


class ShownKnocks(TypedDict):
    """Those who wait at the door."""

    knocks: list[ShownKnock]


class ShownAnswers(TypedDict):
    """The numbers of those who were let in, and sent away."""

    refused: int
    admitted: int


class ShownDoor(TypedDict):
    """Somebody who is not in yet. ``knock``: send it the next time, in ``ask_again`` seconds;
    without it a nickname is needed."""

    joined: Literal[False]
    title: str
    guests: Guests
    knock: NotRequired[str]
    ask_again: NotRequired[float]


class ShownRoomOfCode(TypedDict):
    """Somebody who is in, with whom they are now."""

    joined: Literal[True]
    room: int
    role: MemberRole
    user: NotRequired[str]
    roles: NotRequired[list[str]]
    expires_at: NotRequired[Moment]
    name: NotRequired[str]
    guest_of: NotRequired[int]


class CodeHandler(ApiHandler):
    """A room's class code: GET shows it, POST makes it, DELETE withdraws it."""

    @Operation(
        "Show the class code",
        who=Who.HOST,
        answers={200: Answer("The code.", ShownCode), 204: Answer("The room has none.")},
        refuses=(RoomClosed,),
    )
    async def get(self, room: str) -> None:
        number = self.room_number(room)
        identity, address = await self.identity(), self.caller.address
        code = await self.services.codes.show(identity, number, address=address)
        if code is None:
            self.set_status(204)
        else:
            self.write_json(self._as_json(code))

    @Operation(
        "Make a class code, or change whom it lets in",
        who=Who.HOST,
        body=NewCode,
        answers={200: Answer("The code.", ShownCode)},
        refuses=(RoomClosed, TooManyChanges),
    )
    async def post(self, room: str) -> None:
        number = self.room_number(room)
        identity, wanted = await self.identity(), self.body(NewCode)
        made = await self.services.codes.make(
            identity, number, wanted.guests, renew=wanted.renew, address=self.caller.address
        )
        self.write_json(self._as_json(made))

    @Operation(
        "Withdraw the class code",
        who=Who.HOST,
        query=Withdrawal,
        answers={200: Answer("How many guests were sent away.", ShownWithdrawal)},
        refuses=(UnknownCode, TooManyChanges),
    )
    async def delete(self, room: str) -> None:
        number = self.room_number(room)
        identity, query = await self.identity(), self.query(Withdrawal)
        ended = await self.services.codes.withdraw(
            identity, number, send_away=query.guests == "end"
        )
        self.write_json(ShownWithdrawal(ended=ended))

    def _as_json(self, code: ClassCode) -> ShownCode:
        """A code; ``url``: where its QR leads, seen from the gateway."""
        return {"code": code.code, "url": self.address(f"/j/{code.code}"), "guests": code.guests}


class KnocksHandler(ApiHandler):
    """Those who wait at a room's door: GET lists them, POST lets them in or sends them away."""

    @Operation(
        "List those who wait at the door",
        who=Who.HOST,
        answers={200: Answer("Who waits.", ShownKnocks)},
        refuses=(UnknownCode,),
    )
    async def get(self, room: str) -> None:
        number = self.room_number(room)
        waiting = await self.services.codes.knocks(await self.identity(), number)
        await self.write_list("knocks", waiting, _knock_json)

    @Operation(
        "Let in those who wait, or send them away",
        who=Who.HOST,
        body=Answers,
        answers={200: Answer("How many.", ShownAnswers)},
        refuses=(RoomClosed, RoomFull, TooManyChanges, UnknownKnock, UnknownCode),
    )
    async def post(self, room: str) -> None:
        number = self.room_number(room)
        identity, answers = await self.identity(), self.body(Answers)
        codes = self.services.codes
        done: ShownAnswers = {"refused": 0, "admitted": 0}
        if answers.refuse:
            numbers = None if answers.refuse == "all" else answers.refuse
            done["refused"] = await codes.answer(identity, number, numbers, admit=False)
        if answers.admit:
            numbers = None if answers.admit == "all" else answers.admit
            done["admitted"] = await codes.answer(identity, number, numbers, admit=True)
        self.write_json(done)


class JoinHandler(ApiHandler):
    """The way into a room by its class code: POST comes in, or knocks."""

    for_anybody = True

    @property
    def most_body(self) -> int:
        return min(super().most_body, _MOST_BODY)

    @Operation(
        "Come into a room by its class code, or knock at its door",
        who=Who.ANYBODY,
        body=Join,
        answers={
            200: Answer(
                "In the room; or a nickname is needed first.",
                ShownRoomOfCode | ShownDoor,
                headers=("Set-Cookie",),
            ),
            202: Answer(
                "At the door: ask again with the knock.", ShownDoor, headers=("Retry-After",)
            ),
        },
        refuses=(
            *OF_USERS,
            UnknownCode,
            UnknownKnock,
            GuestsRefused,
            TurnedAway,
            RoomClosed,
            RoomFull,
            TooManyCodes,
            TooManyJoins,
            TooManyKnocks,
            JoinsWait,
            TooManyChanges,
        ),
    )
    async def post(self) -> None:
        wanted = self.body(Join)
        who = await self._who_comes()
        came = await self.services.codes.join(
            wanted.code,
            who=who,
            nickname=wanted.nickname,
            knock=wanted.knock,
            address=self.caller.address,
            device=device_of(self.request),
        )
        if isinstance(came, AtTheDoor):
            self._wait(came)
            return
        if came.guest is not None:
            self._let_in(came.guest)
        self.write_json(_joined_json(came, came.guest or who))

    async def _who_comes(self) -> Identity | None:
        """The caller, if logged in: a cookie that has ended is as good as none here."""
        if not self.services.credentials.given(self.request):
            return None
        try:
            return await self.identity()
        except NotAuthenticated:
            return None

    def _wait(self, door: AtTheDoor) -> None:
        shown: ShownDoor = {"joined": False, "title": door.title, "guests": door.guests}
        if door.knock is not None:
            shown["knock"] = door.knock
        if door.ask_again is not None:
            shown["ask_again"] = round(door.ask_again, 1)
            self.set_header("Retry-After", str(math.ceil(door.ask_again)))
        self.write_json(shown, status=200 if door.knock is None else 202)

    def _let_in(self, guest: Identity) -> None:
        cookie = self.services.sessions.sign(guest, secure=self.caller.secure)
        set_session(self, cookie, max_age=guest.expires_at - self.services.clock())


def _knock_json(knock: Knock) -> ShownKnock:
    return {"number": knock.number, "name": knock.nickname, "since": timestamp(knock.since)}


def _joined_json(joined: Joined, who: Identity | None) -> ShownRoomOfCode:
    shown: ShownRoomOfCode = {"joined": True, "room": joined.room, "role": joined.role}
    return shown if who is None else {**shown, **identity_json(who)}
