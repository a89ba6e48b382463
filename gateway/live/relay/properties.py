"""The header of a SEND that must have a form, or RabbitMQ ends the session. Pure.

3.10 does not say why then, and all that is sent behind it is lost. What RabbitMQ answers with an
ERROR (``priority:high``) is left to it. https://www.rabbitmq.com/docs/stomp#pear
"""

from __future__ import annotations

import re
from typing import Final

from broker.protocol.stomp import Frame
from gateway.errors import BadFrame

_DIGITS: Final = re.compile(r"[0-9]{1,20}")
#: Milliseconds (``rabbit_misc:check_expiry``).
_LONGEST: Final = 2**32 - 1
#: Characters of a wrong value that are shown.
_SHOWN: Final = 40


def check(frame: Frame) -> None:
    """Raises :class:`BadFrame`, which names the header and what would be right."""
    value = frame.get("expiration")
    if value is not None and not (_DIGITS.fullmatch(value) and int(value) <= _LONGEST):
        raise BadFrame(
            f"expiration:{value[:_SHOWN]}: must be a whole number of milliseconds, "
            f"at most {_LONGEST}"
        )
