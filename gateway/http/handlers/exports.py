"""``/api/rooms/{room}/export/…``: the tables of a room as CSV, and one page to print, for its
hosts."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, ClassVar, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field
from tornado.http1connection import HTTP1Connection
from tornado.iostream import StreamClosedError

from gateway.domain.identity import Identity
from gateway.errors import (
    ExportsBusy,
    GatewayError,
    TokenExpired,
    TooManyExports,
    TooMuchRead,
)
from gateway.http.api import ApiHandler
from gateway.http.attachment import attachment, file_name
from gateway.http.body import Body
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.reports import csv_text, html_text
from gateway.reports.cells import Style
from gateway.reports.exports import Kind
from gateway.reports.print_style import STYLE_SOURCE
from gateway.reports.words import WORDS, language_of

logger = logging.getLogger(__name__)

#: A name of the IANA time zone database. The database is a folder: other names must not reach it.
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")

_SEPARATORS: Final = {"comma": ",", "semicolon": ";"}


def _zone(name: str) -> str:
    if not _ZONE.fullmatch(name):
        raise ValueError("must be a time zone such as Asia/Seoul")
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError("is no time zone that this gateway knows; e.g. Asia/Seoul") from None
    return name


class ExportQuery(Body):
    """The query of an export. ``zone``: of all times; ``language``: of the gateway's words, by
    default the browser's; ``separator``: of CSV's cells, as the reader's spreadsheet has it."""

    zone: Annotated[str, Field(max_length=64), AfterValidator(_zone)] = "UTC"
    language: Literal["en", "ko"] | None = None
    separator: Literal["comma", "semicolon"] = "comma"


class _Streamed(ApiHandler):
    """The base of answers that are made while they are sent."""

    async def send(self, who: Identity, parts: AsyncGenerator[bytes, None]) -> None:
        """Send the parts as they come, no faster than the client takes them. An error before the
        first part is answered as always; a later one cuts the answer off, so that no client takes
        it for a whole one."""
        connection = self.request.connection
        stream = connection.stream if isinstance(connection, HTTP1Connection) else None
        try:
            async with aclosing(parts):
                async for part in parts:
                    self.services.revocations.check(who)
                    if who.expires_at <= self.services.clock():
                        raise TokenExpired("the token or login has ended: get a new one")
                    self.write(part)
                    taken = self.flush()
                    if stream is not None:
                        # The end of the user's access cuts off what waits for the client.
                        self.services.answers.answered(stream, who, taken=taken)
                    await taken
        except StreamClosedError:
            return
        except GatewayError as error:
            if not self._headers_written or stream is None:
                raise
            logger.warning("GET %s is cut off: %s", self.request.path, error.detail)
            stream.close()
        except BaseException:
            # Otherwise Tornado would end the answer as if it were whole.
            if self._headers_written and stream is not None:
                stream.close()
            raise

    def style(self) -> tuple[Style, str]:
        """The style that the query asks for, and its language. Raises :class:`Invalid`."""
        query = self.query(ExportQuery)
        language = query.language or language_of(self.request.headers.get("Accept-Language", ""))
        separator = _SEPARATORS[query.separator]
        return Style(WORDS[language], ZoneInfo(query.zone), separator), language


class ExportHandler(_Streamed):
    """A table of a room as a file."""

    @Operation(
        "Get a table of the room as CSV",
        who=Who.HOST,
        query=ExportQuery,
        answers={
            200: Answer(
                "The table.", media_type=csv_text.MEDIA_TYPE, headers=("Content-Disposition",)
            )
        },
        refuses=(TooManyExports, ExportsBusy, TooMuchRead),
    )
    async def get(self, room: str, kind: str) -> None:
        number = self.room_number(room)
        who = await self.identity()
        style, _ = self.style()
        title = (await self.services.rooms.show(who, number)).room.title
        self.set_header("Content-Type", csv_text.MEDIA_TYPE)
        plain, full = f"room-{number}-{kind}.csv", f"{file_name(title)} {style.say(kind)}.csv"
        self.set_header("Content-Disposition", attachment(plain, full.lstrip()))
        await self.send(who, self.services.exports.csv(who, number, Kind(kind), style))


class PrintHandler(_Streamed):
    """A room as one page to print."""

    content_security_policy: ClassVar[str] = (
        f"default-src 'none'; style-src {STYLE_SOURCE}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )

    @Operation(
        "Get the room as one page to print",
        who=Who.HOST,
        query=ExportQuery,
        answers={200: Answer("The page.", media_type=html_text.MEDIA_TYPE)},
        refuses=(TooManyExports, ExportsBusy, TooMuchRead),
    )
    async def get(self, room: str) -> None:
        number = self.room_number(room)
        who = await self.identity()
        style, language = self.style()
        self.set_header("Content-Type", html_text.MEDIA_TYPE)
        page = self.services.exports.page(who, number, style, language=language)
        await self.send(who, page)
