"""The base of the HTTP API's handlers: the user, the origin and the body of a request."""

from __future__ import annotations

from asyncio import Future, sleep
from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter
from typing import Any, ClassVar, Final, TypeVar

from tornado.http1connection import HTTP1Connection
from tornado.web import stream_request_body

from broker.protocol.numerals import natural
from gateway.auth.credentials import USER_HEADER
from gateway.budget.cap import Lease
from gateway.budget.rank import rank_of
from gateway.budget.table import BODIES
from gateway.domain.identity import Identity
from gateway.errors import Invalid, TooLarge, UnknownRoom
from gateway.http.base import BaseHandler, encoded
from gateway.http.body import MEDIA_TYPE, BodyT, read, validate
from gateway.http.caller import Caller, caller
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.services import HandlerServices
from gateway.http.sharing import share
from gateway.http.streams import Guarded
from gateway.rotation import REQUEST

T = TypeVar("T")
R = TypeVar("R")

_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")

#: A body that is too large is read up to here (bytes) before it is refused: closing while the
#: client still sends would destroy the answer on its way.
LARGEST_BODY_READ: Final = 4 * 1024 * 1024

#: Seconds for which the user of a request is still the one that was found: whoever sends a body is
#: asked for before any of it is kept, and again when it has come. Access ends within a second.
_STILL_TRUE: Final = 0.05

#: Seconds for which a browser remembers a preflight's answer.
_PREFLIGHT_SECONDS: Final = 600


@stream_request_body
class ApiHandler(BaseHandler):
    """A resource of the API. Its methods parse their input, ask for permissions, and answer with
    JSON."""

    #: Whether an unknown user may send it a body.
    for_anybody: ClassVar[bool] = False

    def initialize(self, services: HandlerServices) -> None:
        self.services = services
        self._received = bytearray()
        self._place: Lease | None = None
        self._who: Identity | None = None
        self._found_at = 0.0

    def prepare(self) -> Awaitable[None] | None:
        super().prepare()
        self.set_header("Cache-Control", "no-store")
        share(self, self.services.origins)
        if self.request.method not in _SAFE_METHODS:
            self.services.origins.check(self.request.headers.get("Origin"))
            self.services.drain.check()
        if self._announced_length() > LARGEST_BODY_READ:
            raise self._too_large()
        # Before any of its body is kept.
        return self._somebody() if self.request.method not in _SAFE_METHODS else None

    async def _somebody(self) -> None:
        if self.for_anybody:
            # Not counted in all: unknown clients must not be able to use that up.
            return
        identity = await self.identity()
        chunked = "Transfer-Encoding" in self.request.headers
        most = self.most_body
        self._place = self.services.budgets.cap(BODIES).take(
            identity.user,
            amount=most if chunked else min(self._announced_length(), most),
            rank=rank_of(identity),
        )

    def finish(self, chunk: str | bytes | dict[str, Any] | None = None) -> Future[None]:
        """Answer. What was read is kept back if the user's access has ended while it was read."""
        who = self._who
        if who is None or self.request.method != "GET" or self.refused_as is not None:
            return super().finish(chunk)
        if not self._headers_written:
            self.services.revocations.check(who)
        connection = self.request.connection
        stream = connection.stream if isinstance(connection, HTTP1Connection) else None
        taken = super().finish(chunk)
        if stream is not None:
            self.services.answers.answered(stream, who, taken=taken)
        return taken

    def on_finish(self) -> None:
        self._give_back()
        super().on_finish()

    def on_connection_close(self) -> None:
        self._give_back()
        super().on_connection_close()

    def _give_back(self) -> None:
        if self._place is not None:
            self._place.give_back()

    def compute_etag(self) -> None:
        """None: an answer that must not be stored cannot be revalidated."""

    def data_received(self, chunk: bytes) -> None:
        # Nothing is kept for a request whose refusal is kept back: its body has no place.
        if not self.is_refused and len(self._received) <= self.most_body:
            self._received += chunk

    @Operation(
        "Ask, as a browser does, whether a page of another origin may",
        who=Who.ANYBODY,
        answers={
            204: Answer(
                "It may.",
                headers=(
                    "Allow",
                    "Access-Control-Allow-Methods",
                    "Access-Control-Allow-Headers",
                    "Access-Control-Max-Age",
                ),
            )
        },
    )
    def options(self, *_: str) -> None:
        """Answer the preflight of a browser at another origin (Fetch standard, CORS protocol)."""
        self.services.origins.check(self.request.headers.get("Origin"))
        methods = ", ".join(self.served_methods())
        self.set_header("Allow", methods)
        self.set_header("Access-Control-Allow-Methods", methods)
        self.set_header(
            "Access-Control-Allow-Headers",
            f"Authorization, Content-Type, Idempotency-Key, Last-Event-ID, {USER_HEADER}",
        )
        self.set_header("Access-Control-Max-Age", str(_PREFLIGHT_SECONDS))
        self.set_status(204)

    def write_error(self, status_code: int, **kwargs: object) -> None:
        share(self, self.services.origins)
        super().write_error(status_code, **kwargs)

    @property
    def most_body(self) -> int:
        """Bytes of a body at most."""
        return self.services.limits.now.body_bytes

    def address(self, path: str) -> str:
        """The path as clients know it."""
        return f"{self.settings['base_path']}{path}"

    @property
    def caller(self) -> Caller:
        return caller(self.request, trusted_proxies=self.services.trusted_proxies)

    async def identity(self) -> Identity:
        """The user of the request. Raises :class:`NotAuthenticated`."""
        if self._who is not None and perf_counter() < self._found_at + _STILL_TRUE:
            return self._who
        identity = await self.services.credentials.identify(
            self.request, address=self.caller.address
        )
        self.user, self._who, self._found_at = identity.user, identity, perf_counter()
        connection = self.request.connection
        if isinstance(connection, HTTP1Connection) and isinstance(connection.stream, Guarded):
            connection.stream.belongs_to(identity.user)
        return identity

    def body(self, model: type[BodyT]) -> BodyT:
        """The request's body. Raises :class:`Invalid`, :class:`TooLarge`."""
        if len(self._received) > self.most_body:
            raise self._too_large()
        return read(
            model, bytes(self._received), content_type=self.request.headers.get("Content-Type")
        )

    def query(self, model: type[BodyT]) -> BodyT:
        """The query of the URL. Raises :class:`Invalid`."""
        values: dict[str, str] = {}
        for name, given in self.request.query_arguments.items():
            if len(given) > 1:
                raise Invalid(f"{name}: is given twice in the query")
            values[name] = self.decode_argument(given[0], name)
        return validate(model, values)

    async def in_turns(self, items: Iterable[T], make: Callable[[T], R]) -> list[R]:
        """The results of ``make`` for each item, a moment's work in each of the user's turns:
        however long the list is, nobody else waits for all of it."""
        connection = self.request.connection
        stream = connection.stream if isinstance(connection, HTTP1Connection) else None
        made: list[R] = []
        ends = perf_counter() + REQUEST
        for item in items:
            made.append(make(item))
            if perf_counter() >= ends:
                await (stream.next_turn() if isinstance(stream, Guarded) else sleep(0))
                ends = perf_counter() + REQUEST
        return made

    async def write_list(self, name: str, items: Iterable[T], make: Callable[[T], Any]) -> None:
        """Answer with a JSON object that has a list, of what ``make`` makes of each item."""
        parts = await self.in_turns(items, lambda item: encoded(make(item)))
        self.set_header("Content-Type", MEDIA_TYPE)
        self.finish(b'{"%s":[%s]}' % (name.encode(), b",".join(parts)))

    def room_number(self, text: str) -> int:
        """The room in a path. Raises :class:`UnknownRoom`: only numbers name rooms."""
        number = natural(text)
        if not number:
            raise UnknownRoom("a room must be named by its number")
        return number

    def _announced_length(self) -> int:
        length = self.request.headers.get("Content-Length", "0")
        # RFC 9110, section 8.6: digits and nothing else.
        if not (length.isascii() and length.isdigit() and len(length) < 20):
            raise Invalid("Content-Length must be a number of bytes")
        return int(length)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body must have at most {self.most_body} bytes")
