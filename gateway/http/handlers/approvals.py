"""``/api/rooms/{room}/approvals``: what waits for a host's approval, and the decision about it."""

from __future__ import annotations

import json
from typing import NotRequired, Self

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from gateway.domain.approval import Fate
from gateway.errors import (
    HistoryFull,
    NotWaiting,
    PostsBusy,
    PublishingBehind,
    RateLimited,
    ReadsBusy,
    RoomBusy,
    RoomClosed,
    TooManyBytes,
    TooManyPosts,
    TooManyReads,
    TooMuchRead,
)
from gateway.http import body
from gateway.http.api import ApiHandler
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.contract.shapes import After, Number, SaidMessage, Seq
from gateway.messages.approvals import PAGE, Decided


class WaitingQuery(body.Body):
    """The query; its value comes as text."""

    after: After = 0


class Decision(body.Body):
    """The body: the numbers of messages that wait."""

    approve: tuple[Number, ...] = Field(default=(), strict=False)
    refuse: tuple[Number, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        named = self.approve + self.refuse
        if not 0 < len(named) <= PAGE:
            raise ValueError(f"approve and refuse: must name 1 to {PAGE} messages")
        if len(set(named)) != len(named):
            raise ValueError("approve and refuse: a message is named twice")
        return self


class ShownWaiting(TypedDict):
    """The messages that wait. ``next``: ask again with this as ``after``, because there is more."""

    waiting: list[SaidMessage]
    next: NotRequired[int]


class ShownDecision(TypedDict):
    """The fate of a message. ``place``: where it waited; ``seq``: where it stands now."""

    place: Seq
    fate: Fate
    seq: NotRequired[Seq]


class ShownDecisions(TypedDict):
    """The fates of messages."""

    decided: list[ShownDecision]


class ApprovalsHandler(ApiHandler):
    """The messages of a room that wait for approval: GET lists them, POST decides."""

    @Operation(
        "List what waits for approval: all of it for hosts, their own for participants",
        who=Who.MEMBER,
        query=WaitingQuery,
        answers={200: Answer("What waits.", ShownWaiting)},
        refuses=(TooManyReads, TooMuchRead, ReadsBusy),
    )
    async def get(self, room: str) -> None:
        number = self.room_number(room)
        identity = await self.identity()
        after = self.query(WaitingQuery).after
        found, following = await self.services.approvals.waiting(identity, number, after=after)
        rest = {} if following is None else {"next": following}
        end = f",{json.dumps(rest)[1:]}" if rest else "}"
        self.set_header("Content-Type", body.MEDIA_TYPE)
        waiting = b",".join(each.encode() for each in found)
        self.finish(b'{"waiting":[%s]%s' % (waiting, end.encode()))

    @Operation(
        "Approve or refuse what waits",
        who=Who.HOST,
        body=Decision,
        answers={200: Answer("What became of each.", ShownDecisions)},
        refuses=(
            NotWaiting,
            RoomClosed,
            HistoryFull,
            RateLimited,
            TooManyPosts,
            TooManyBytes,
            PostsBusy,
            RoomBusy,
            PublishingBehind,
        ),
    )
    async def post(self, room: str) -> None:
        number = self.room_number(room)
        identity = await self.identity()
        wanted = self.body(Decision)
        fates = dict.fromkeys(wanted.approve, Fate.APPROVED)
        fates |= dict.fromkeys(wanted.refuse, Fate.REFUSED)
        decided = await self.services.approvals.decide(identity, number, fates)
        self.write_json(ShownDecisions(decided=[_as_json(each) for each in decided]))


def _as_json(decided: Decided) -> ShownDecision:
    shown: ShownDecision = {"place": decided.place, "fate": decided.fate}
    if decided.seq is not None:
        shown["seq"] = decided.seq
    return shown
