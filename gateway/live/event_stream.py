"""Server-sent events as bytes, and the two ways in which HTTP carries a body of unknown length.
Pure.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MEDIA_TYPE: Final = "text/event-stream"
#: What every parser passes over.
COMMENT: Final = b":\n\n"

_LINE_ENDS: Final = re.compile(rb"\r\n|\r|\n")
_END: Final = b"\n\n"
_CRLF: Final = b"\r\n"


def event(
    data: bytes, *, name: str | None = None, id: int | None = None, retry: int | None = None
) -> bytes:
    """One event. ``data`` is UTF-8; ``name`` None: the event ``message``. ``id``: where a client
    that comes back goes on; ``retry``: milliseconds until it does.

    An event without an ``id`` leaves the client's place as it is.
    """
    fields = []
    if retry is not None:
        fields.append(b"retry: %d\n" % retry)
    if id is not None:
        fields.append(b"id: %d\n" % id)
    if name is not None:
        fields.append(b"event: %s\n" % name.encode())
    if b"\n" in data or b"\r" in data:
        fields += [b"data: %s\n" % line for line in _LINE_ENDS.split(data)]
    else:
        fields.append(b"data: %s\n" % data)
    return b"".join([*fields, b"\n"])


@dataclass(frozen=True, slots=True)
class Framing:
    """The frames of a body whose length is not known.

    ``chunked``: the chunked coding of HTTP/1.1 (RFC 9112, section 7.1), whose end shows that
    nothing was cut off. Otherwise the body ends with the connection, for clients of HTTP/1.0.
    """

    chunked: bool

    def frame(self, data: bytes) -> bytes:
        """One part of the body, which is not empty."""
        return b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data

    @property
    def end(self) -> bytes:
        return b"0\r\n\r\n" if self.chunked else b""

    def ends(self, whole: bytes | bytearray) -> Iterator[int]:
        """The places in ``whole``, which begins with a frame or with the answer's head, behind
        which another frame may follow."""
        at = 0
        if whole.startswith(b"HTTP/"):
            at = whole.index(_CRLF * 2) + 4
            yield at
        while (mark := whole.find(_CRLF if self.chunked else _END, at)) >= 0:
            # The size of a chunk stands before it, and an empty line ends an event.
            at = mark + 2 + (int(whole[at:mark], 16) + 2 if self.chunked else 0)
            if at > len(whole):
                return
            yield at
