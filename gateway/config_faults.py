"""Texts for the faults of a configuration: the key, the variable it came from, and what would be
right.

No text shows a value: a refused one may be a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsError

Location = tuple[int | str, ...]

#: Variables by which Kubernetes and Docker announce a service.
_SERVICE: Final = re.compile(r"(tcp|udp|sctp)://")


def of_values(model: type[BaseModel], error: ValidationError, *, prefix: str) -> Iterator[str]:
    """The faults of ``error`` as lines; ``prefix`` begins the names of environment variables."""
    # ``include_input=False``, or pydantic's own texts would show the refused value.
    faults = error.errors(include_input=False, include_url=False)
    places = [fault["loc"] for fault in faults]
    for fault in faults:
        place, kind = fault["loc"], fault["type"]
        if kind == "too_short" and any(p[: len(place)] == place != p for p in places):
            # pydantic has dropped the faulty entries of a list and found it empty.
            continue
        yield f"{_key(place, prefix)}: {_what(model, place, kind, fault['msg'])}"


def unknown_variables(model: type[BaseModel], *, prefix: str, spared: str) -> Iterator[str]:
    """Environment variables that mean a key which does not exist; ``spared`` is left out.

    Others set variables with our prefix too: Kubernetes for a Service called "gateway"
    (``GATEWAY_PORT=tcp://…``, ``GATEWAY_SERVICE_HOST`` …), shells, CI. A variable without a double
    underscore means a key only if it is one, or was written with too few underscores.
    https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    known = [prefix + name for name in _variables(model)]
    too_few = {name.replace("__", "_"): name for name in known if "__" in name}
    for name in _given(prefix):
        upper = name.upper()
        first = upper.removeprefix(prefix).lower().split("__")[0]
        if first in model.model_fields or upper == spared or _SERVICE.match(os.environ[name]):
            continue
        if upper in too_few:
            yield f"{name}: unknown environment variable; did you mean {too_few[upper]}?"
        elif "__" in upper:
            yield f"{name}: unknown environment variable{_meant(upper, known)}"


def unreadable_variables(model: type[BaseSettings], *, prefix: str) -> Iterator[str]:
    """Environment variables that must be JSON and are not."""
    source = EnvSettingsSource(model)
    for name in _given(prefix):
        source.env_vars = {name.lower(): os.environ[name]}
        try:
            source()
        except SettingsError:
            yield f"{name}: not JSON; a list or a table must be written as JSON"


def _given(prefix: str) -> list[str]:
    return sorted(name for name in os.environ if name.upper().startswith(prefix))


def _key(place: Location, prefix: str) -> str:
    """The key, and the environment variable if its value, or a table around it, comes from one."""
    key = ".".join(str(part) for part in place) or "configuration"
    given = {name.upper(): name for name in os.environ}
    for length in range(len(place), 0, -1):
        variable = prefix + "__".join(str(part) for part in place[:length]).upper()
        if variable in given:
            return f"{key} (environment variable {given[variable]})"
    return key


def _what(model: type[BaseModel], place: Location, kind: str, message: str) -> str:
    match kind:
        case "extra_forbidden":
            return "unknown key" + _meant(str(place[-1]), _beside(model, place))
        case "missing":
            return "this key is required"
        case "too_short":
            return "there must be at least one"
        case "tuple_type":
            return "must be a list"
        case _:
            return message.removeprefix("Value error, ")


def _meant(name: str, known: Collection[str]) -> str:
    nearest = get_close_matches(name, known, n=1, cutoff=0.75)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _beside(model: type[BaseModel], place: Location) -> Collection[str]:
    """The keys that exist in the table of ``place``."""
    for part in place[:-1]:
        if isinstance(part, str):
            model = table_of(model.model_fields[part].annotation) or model
    return model.model_fields


def _variables(model: type[BaseModel], path: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{path}{name}".upper()
        table = table_of(field.annotation)
        if table is not None:
            yield from _variables(table, f"{path}{name}__")


def table_of(annotation: Any) -> type[BaseModel] | None:
    """The table that a key's type allows: itself, in a union, or the entries of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (table_of(argument) for argument in get_args(annotation))
    return next((table for table in inner if table is not None), None)
