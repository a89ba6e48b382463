"""User names in requests, in the one form that they have everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, PlainValidator

from gateway.domain.guest import account_name
from gateway.domain.user_name import carried_name, name_in_orders, written_otherwise
from gateway.errors import Invalid


@dataclass(frozen=True, slots=True)
class Written:
    """A user's name in its form, and as it was ``written`` if that is different."""

    name: str
    written: str | None


def _written(value: object) -> Written:
    name = account_name(value)
    return Written(name, written_otherwise(str(value), name))


WrittenUser = Annotated[Written, PlainValidator(_written)]
#: The name of anybody who can be connected: one of RabbitMQ's own may have no such form.
AnyUserName = Annotated[str, AfterValidator(lambda value: name_in_orders(carried_name(value)))]


def user_in_path(text: str) -> str:
    """The user in a path, who is no guest. Raises :class:`Invalid`."""
    try:
        return account_name(text)
    except ValueError as error:
        raise Invalid(str(error)) from None
