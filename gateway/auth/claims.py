"""The claims of a token (RFC 7519): read, found and compared. Pure."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

#: A claim's place: a name for each level of objects.
Path = Sequence[str]

_MISSING: Final = object()
_BASE64URL: Final = re.compile("[A-Za-z0-9_-]*")


def read_object(text: bytes) -> dict[str, Any]:
    """A JSON object whose names are unique at every level (RFC 7519, section 4). Raises
    ``ValueError``.

    Of a name that comes twice, two readers would take different values.
    """
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    return value


def unverified(token: str, part: int) -> dict[str, Any]:
    """The header (0) or the claims (1) of a token, which anybody may have written. Raises
    ``ValueError``."""
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("a token has three parts")
    segment = parts[part]
    # Python's own decoder passes over other characters.
    if not _BASE64URL.fullmatch(segment):
        raise ValueError("it is not base64url")
    return read_object(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


def find(claims: Mapping[str, Any], path: Path) -> Any:
    """The claim at this place; None if there is none."""
    found: Any = claims
    for name in path:
        found = found.get(name, _MISSING) if isinstance(found, dict) else _MISSING
    return None if found is _MISSING else found


def put(claims: dict[str, Any], path: Path, value: object) -> None:
    """Put a claim at this place; objects on the way are made."""
    *way, last = path
    for name in way:
        claims = claims.setdefault(name, {})
    claims[last] = value


def words(value: object) -> list[str]:
    """The strings of a claim that may be a list of them, or one string with spaces between them as
    ``scope`` is (RFC 8693, section 4.2). Raises ``ValueError`` for anything else."""
    if isinstance(value, str):
        return value.split()
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    raise ValueError("must be a list of strings, or a string with spaces between them")


def is_one_of(value: object, allowed: Collection[str | bool]) -> bool:
    """Whether the claim, or one entry of it if it is a list, is one of these. ``true`` is not 1,
    nor ``"true"``."""
    entries = value if isinstance(value, list) else [value]
    return any(type(entry) is type(each) and entry == each for entry in entries for each in allowed)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name comes twice")
    return members


def _refuse(constant: str) -> None:
    """NaN and Infinity, which are not JSON."""
    raise ValueError(f"{constant} is not JSON")
