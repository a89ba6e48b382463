"""User names in requests, by the same rule as in tokens."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from gateway.auth.names import user_name
from gateway.errors import Invalid

UserName = Annotated[str, AfterValidator(user_name)]


def user_in_path(text: str) -> str:
    """The user in a path. Raises :class:`Invalid`."""
    try:
        return user_name(text)
    except ValueError as error:
        raise Invalid(str(error)) from None
