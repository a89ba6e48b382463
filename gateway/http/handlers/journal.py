"""``/api/admin/events``: the journal of all gateways, for admins and observers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, NotRequired, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from typing_extensions import TypedDict

from gateway.domain.journal import Entry, EntryKind, Place, Search
from gateway.domain.message import timestamp
from gateway.errors import Invalid
from gateway.http.body import Body
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.contract.shapes import Moment, Number
from gateway.http.handlers.admin import AdminHandler, aware, cursor, cursor_parts
from gateway.http.names import AnyUserName

_Moment = Annotated[datetime, Field(strict=False), AfterValidator(aware)]
_Kinds = Annotated[
    tuple[Annotated[EntryKind, Field(strict=False)], ...],
    Field(strict=False, max_length=len(EntryKind)),
    BeforeValidator(lambda given: given.split(",") if isinstance(given, str) else given),
]
_TIMES = ("at", "since")


class EventsQuery(Body):
    """The query of a page of the journal; its values come as text. ``kind``: one or several, with
    commas. ``after``: the ``next`` of the page before."""

    user: AnyUserName | None = None
    room: Annotated[Number, Field(strict=False)] | None = None
    address: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    connection: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    kind: _Kinds = ()
    from_: Annotated[_Moment | None, Field(alias="from")] = None
    to: _Moment | None = None
    after: Annotated[str, Field(max_length=200)] | None = None
    size: Annotated[int, Field(strict=False, ge=1, le=200)] = 50

    @model_validator(mode="after")
    def _a_span(self) -> Self:
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise ValueError("from must be before to")
        return self

    def as_search(self) -> Search:
        """The search. Raises :class:`Invalid`."""
        return Search(
            user=self.user,
            room=self.room,
            address=self.address,
            connection=self.connection,
            kinds=self.kind,
            since=self.from_,
            until=self.to,
            before=None if self.after is None else _place(self.after),
            size=self.size,
        )


class ShownEntry(TypedDict):
    """An entry of the journal, with what is known of it. ``code``: a stable word; ``user``: whom it
    concerns; ``by``: who gave the order; ``client_status``: the close code that the client sent."""

    id: int
    at: Moment
    kind: Annotated[str, Field(description="One of those that a search may name, or a newer one.")]
    code: str
    gateway: NotRequired[str]
    detail: NotRequired[str]
    status: NotRequired[int]
    client_status: NotRequired[int]
    user: NotRequired[str]
    by: NotRequired[str]
    room: NotRequired[int]
    address: NotRequired[str]
    node: NotRequired[str]
    connection: NotRequired[str]
    browser: NotRequired[str]
    since: NotRequired[Moment]
    bytes_in: NotRequired[int]
    bytes_out: NotRequired[int]


class ShownEntries(TypedDict):
    """A page of the journal. ``next``: ask again with this as ``after``."""

    events: list[ShownEntry]
    next: NotRequired[str]


class AdminEventsHandler(AdminHandler):
    """One page of the journal, the latest entry first."""

    @Operation(
        "Search the journal of all gateways",
        who=Who.OBSERVER,
        query=EventsQuery,
        answers={200: Answer("A page, the latest entry first.", ShownEntries)},
    )
    async def get(self) -> None:
        search = self.query(EventsQuery).as_search()
        found = await self.services.admin.journal.search(search)
        answer: dict[str, Any] = {"events": [_as_json(entry) for entry in found]}
        if len(found) == search.size:
            answer["next"] = cursor([found[-1].at, found[-1].id])
        self.write_json(answer)


def _as_json(entry: Entry) -> dict[str, Any]:
    shown = {
        name: value for name in Entry.__slots__ if (value := getattr(entry, name)) not in (None, "")
    }
    return shown | {
        name: timestamp(datetime.fromtimestamp(shown[name], UTC))
        for name in _TIMES
        if name in shown
    }


def _place(given: str) -> Place:
    match cursor_parts(given):
        case [int() | float() as at, int(id)] if 0 <= at < 2**40 and 0 < id < 2**63:
            return datetime.fromtimestamp(at, UTC), id
    raise Invalid("after: must be the next of a page")
