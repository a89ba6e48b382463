"""Acknowledgements as they nearly always come, known at a glance.

A consumer of a private queue sends one for each message, so most of what a client with a relay says
is this. Nothing of it is to be judged, and nothing to be rewritten: the client's own WebSocket
frames can go on as they are, mask and all. Whatever looks any different is parsed and judged.
"""

from __future__ import annotations

import re
from typing import Final

from broker.wsframes import mask

#: Whole, unfragmented text or binary frames.
_FIRST_BYTES: Final = frozenset({0x81, 0x82})
#: Length and mask bit of what is masked and needs no further length (RFC 6455, section 5.2).
_SHORTEST: Final = 0x80
_LONGEST: Final = 0x80 + 125
#: One frame of STOMP 1.2 (``id``) or of an older one: printable ASCII, no escapes, no header that
#: could mean anything else (a transaction, a receipt, a body's length), one header of each name.
_ACKNOWLEDGEMENT: Final = re.compile(
    rb"N?ACK\n"
    rb"(?:id:([!-\[\]-~]+)"
    rb"|message-id:([!-\[\]-~]+)\nsubscription:[ -\[\]-~]+"
    rb"|subscription:[ -\[\]-~]+\nmessage-id:([!-\[\]-~]+))"
    rb"\n\n\0\n?"
)


def count(data: bytes, mark: bytes) -> int:
    """How many acknowledgements ``data`` is; 0 if it is anything else, or more.

    ``mark`` is what the message ids of the session hold: others are of a session that is gone.
    """
    found = start = 0
    size = len(data)
    while start < size:
        payload = start + 6
        if (
            payload > size
            or data[start] not in _FIRST_BYTES
            or not _SHORTEST <= data[start + 1] <= _LONGEST
            or (end := payload + data[start + 1] - _SHORTEST) > size
        ):
            return 0
        matched = _ACKNOWLEDGEMENT.fullmatch(mask(data[start + 2 : payload], data[payload:end]))
        if matched is None or mark not in matched[matched.lastindex or 0]:
            return 0
        found += 1
        start = end
    return found
