"""Request bodies: strict JSON, then a pydantic model. Every refusal says what would be right."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.errors import Invalid

MEDIA_TYPE: Final = "application/json"

#: Wrong fields that an error names, and that there may be so that it names any.
_MANY: Final = 10
_MOST_FAULTS: Final = 200
#: The beginning of pydantic's messages.
_SHOULD: Final = re.compile(r"^\w+ should ")


class Body(BaseModel):
    """The base of every request body: unknown fields and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


BodyT = TypeVar("BodyT", bound=Body)


def read(model: type[BodyT], raw: bytes, *, content_type: str | None) -> BodyT:
    """The request's body as ``model``. Raises :class:`Invalid`."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        raise Invalid(f"the body must come with Content-Type: {MEDIA_TYPE}")
    value = parse(raw)
    if not isinstance(value, dict):
        raise Invalid("the body must be a JSON object")
    return validate(model, value)


def validate(model: type[BodyT], value: dict[str, Any]) -> BodyT:
    """The model of ``value``. Raises :class:`Invalid`, which names the first wrong fields."""
    if len(value) > len(model.model_fields) + _MANY:
        # Pydantic would describe each of them, which are thousands.
        raise Invalid(f"there are {len(value)} fields, of which most are unknown")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        if (count := error.error_count()) > _MOST_FAULTS:
            # Nor are they described: a list may have thousands, in each of its items.
            raise Invalid(f"{count} fields are wrong or unknown") from None
        # ``include_input=False``: a refused value may be a password.
        faults = error.errors(include_input=False, include_url=False)
        raise Invalid("; ".join(_fault(fault["loc"], fault) for fault in faults[:_MANY])) from None


def parse(raw: bytes) -> Any:
    """The JSON object in ``raw``, by RFC 8259 alone: no repeated names, no NaN, only UTF-8.

    JSON that other parsers might read differently is refused. Raises :class:`Invalid`.
    """
    try:
        text = raw.decode()
        value = _JSON.decode(text)
        if _SURROGATE.search(text):
            # A lone surrogate has no UTF-8: it could be stored but never be sent.
            json.dumps(value, ensure_ascii=False).encode()
    except Invalid:
        raise
    except UnicodeError:
        raise Invalid("the body must be UTF-8") from None
    except RecursionError:
        raise Invalid("the body is nested too deeply") from None
    except ValueError as error:
        raise Invalid(f"the body must be JSON: {error}") from None
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        [(repeated, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise Invalid(f"the name {repeated[:50]!r} is given twice in one object")
    return found


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Invalid(f"the number {text[:50]} is too large")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise Invalid(f"{name} is not JSON")


_JSON: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_number, parse_constant=_refuse_constant
)
#: UTF-8 has no surrogates, so they come only as escapes, in pairs or alone.
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def _fault(location: tuple[int | str, ...], fault: Any) -> str:
    field = ".".join(str(part) for part in location)
    match fault["type"]:
        case "extra_forbidden":
            text = "this field is unknown"
        case "missing":
            text = "this field is required"
        case "value_error":
            text = fault["msg"].removeprefix("Value error, ")
        case "uuid_type" | "uuid_parsing":
            text = "must be a UUID, e.g. 0d6f7b9e-58a1-4a5c-9d59-6a7a5e1f0c11"
        case _:
            text = _SHOULD.sub("must ", fault["msg"])
    return f"{field}: {text}" if field else text
