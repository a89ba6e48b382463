"""Values that a database can hold: checks and conversions before they reach a statement.

PostgreSQL refuses U+0000 in text, and lone surrogates are not UTF-8; one such value would fail its
whole batch. https://www.postgresql.org/docs/current/datatype-character.html
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import DateTime, Dialect
from sqlalchemy.types import TypeDecorator

from gateway.errors import Invalid

#: Lengths in characters. An index entry of PostgreSQL holds 2,700 bytes at most.
USER_LENGTH: Final = 255
TYPE_LENGTH: Final = 255
NICKNAME_LENGTH: Final = 100
TITLE_LENGTH: Final = 1000
#: Rooms and messages are numbered in signed 64-bit integers.
MAX_NUMBER: Final = 2**63 - 1

_JSON: Final = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def is_room(number: int) -> bool:
    """Whether there can be a room with this number."""
    return 1 <= number <= MAX_NUMBER


def is_text(value: str) -> bool:
    """Whether a text column can hold the value; a value that it cannot hold is in no row."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def text(value: str, name: str, limit: int) -> str:
    """The value itself, if it can be stored. Raises :class:`Invalid`, which calls it ``name``."""
    if not 0 < len(value) <= limit:
        raise Invalid(f"{name} must have 1 to {limit} characters")
    if not is_text(value):
        raise Invalid(f"{name} must not contain U+0000 or lone surrogates")
    return value


def json_text(value: Any) -> str:
    """Compact JSON in ASCII, so that every JSON value (U+0000, lone surrogates) can be stored.

    Raises :class:`Invalid` for a value that is not JSON (RFC 8259): NaN, infinities, other types.
    """
    try:
        return _JSON.encode(value)
    except (TypeError, ValueError) as error:
        raise Invalid(f"body is not a JSON value: {error}") from error
    except RecursionError as error:
        raise Invalid("body is nested too deeply") from error


class UtcDateTime(TypeDecorator[datetime]):
    """A column type for aware datetimes, with microseconds, in UTC; SQLite itself knows no time
    zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone was given to the store")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
