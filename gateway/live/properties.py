"""Headers of a SEND that RabbitMQ makes properties of a message, and that must have a form. Pure.

It ends the session for a wrong one, and 3.10 does not say why: all that is sent behind it is lost.
https://www.rabbitmq.com/docs/stomp#pear
"""

from __future__ import annotations

import re
from typing import Final

from broker.stomp import Frame
from gateway.errors import BadFrame

_DIGITS: Final = re.compile(r"[0-9]{1,20}")
#: The greatest value of each: milliseconds (``rabbit_misc:check_expiry``), an octet, seconds.
_GREATEST: Final = {"expiration": 2**32 - 1, "priority": 255, "timestamp": 2**63 - 1}


def check(frame: Frame) -> None:
    """Raises :class:`BadFrame`, which names the header and what would be right."""
    seen = set()
    for name, value in frame.headers:
        # Of a repeated header the first counts.
        if name in seen:
            continue
        seen.add(name)
        if name == "message-id":
            raise BadFrame("message-id: RabbitMQ names messages; use amqp-message-id in a SEND")
        greatest = _GREATEST.get(name)
        if greatest is None:
            continue
        if not _DIGITS.fullmatch(value) or int(value) > greatest:
            raise BadFrame(f"{name}:{value[:40]}: must be a whole number from 0 to {greatest}")
