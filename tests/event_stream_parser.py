"""A parser of server-sent events, written from the standard, for what the gateway says.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Event:
    """One event. ``id`` and ``retry`` are those that it sets."""

    name: str
    data: str
    id: str | None = None
    retry: int | None = None


def parse(text: bytes) -> Iterator[Event]:
    """The events of a stream; comments are passed over."""
    fields: dict[str, str] = {}
    data: list[str] = []
    for line in _LINE_END.split(text.decode()):
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data.append(value)
            elif name:
                fields[name] = value
        elif data or fields:
            retry = fields.get("retry")
            yield Event(
                fields.get("event", "message"),
                "\n".join(data),
                id=fields.get("id"),
                retry=None if retry is None else int(retry),
            )
            fields, data = {}, []
