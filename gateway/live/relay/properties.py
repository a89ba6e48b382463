"""Headers that must have a form, or RabbitMQ ends the session. Pure.

RabbitMQ does not say why then ("Processing error", on 3.10 nothing at all), and all that is sent
behind such a SEND is lost. What RabbitMQ answers with an ERROR that names the header
(``priority:high``) is left to it. https://www.rabbitmq.com/docs/stomp#pear
"""

from __future__ import annotations

import re
from typing import Final

from broker.protocol.stomp import Frame
from gateway.errors import BadFrame

_DIGITS: Final = re.compile(r"[0-9]{1,20}")
#: Milliseconds (``rabbit_misc:check_expiry``).
_LONGEST: Final = 2**32 - 1
#: An integer as RabbitMQ reads one (``rabbit_stomp_frame:integer_header``).
_INTEGER: Final = re.compile(r" *[+-]?[0-9]{1,18} *", re.ASCII)
#: Characters of a wrong value that are shown.
_SHOWN: Final = 40


def check_send(frame: Frame) -> None:
    """Raises :class:`BadFrame`, which names the header of a SEND and what would be right."""
    value = frame.get("expiration")
    if value is not None and not (_DIGITS.fullmatch(value) and int(value) <= _LONGEST):
        raise BadFrame(
            f"expiration:{value[:_SHOWN]}: must be a whole number of milliseconds, "
            f"at most {_LONGEST}"
        )


def check_subscribe(frame: Frame) -> None:
    """The same for a SUBSCRIBE."""
    value = frame.get("prefetch-count")
    if value is not None and not _INTEGER.fullmatch(value):
        raise BadFrame(
            f"prefetch-count:{value[:_SHOWN]}: must be a whole number; leave it out for no limit"
        )
