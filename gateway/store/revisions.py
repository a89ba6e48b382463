"""The number that grows when stored messages are deleted or hidden, so that gateways forget what
they have in memory."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, update

from gateway.store.tables import counters

#: The counter's name.
COUNTER: Final = "erasures"

_NEXT: Final = (
    update(counters)
    .where(counters.c.name == COUNTER)
    .values(value=counters.c.value + 1)
    .returning(counters.c.value)
)


def advance(connection: Connection) -> int:
    """The next number. It is locked until the transaction ends: whoever has seen a number has seen
    all lower ones."""
    number: int = connection.execute(_NEXT).scalar_one()
    return number
