"""The messages of the measurements: all of one size, each with the time of its publishing."""

import time
from datetime import UTC, datetime
from uuid import uuid4

from broker.topology import Stream
from gateway.domain.message import Draft

#: Bytes of a message as RabbitMQ and the subscribers see it: the whole JSON.
SIZE = 200
#: Of the JSON, what is not padding: measured once with a number of five digits.
_TYPE = "chat"


def body(size: int) -> str:
    """A text that begins with the time, in nanoseconds as 16 hexadecimal digits."""
    return f"{time.monotonic_ns():016x}".ljust(size, ".")


def draft(stream: Stream, sender: str) -> Draft:
    """A message of `SIZE` bytes, once it has a number of five digits."""
    empty = Draft(uuid4(), stream, sender, datetime.now(UTC), _TYPE, "")
    padding = SIZE - len(empty.numbered(12345).encode())
    return Draft(empty.id, stream, sender, empty.sent_at, _TYPE, body(max(16, padding)))


def post(stream: Stream, sender: str) -> dict[str, object]:
    """The same message as the JSON of a POST."""
    made = draft(stream, sender)
    return {
        "id": str(made.id),
        "audience": str(stream.audience),
        "type": _TYPE,
        "body": made.body,
    }
