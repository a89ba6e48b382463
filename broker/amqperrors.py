"""What aiormq raises when a connection or a channel fails."""

from __future__ import annotations

from typing import Final

import aiormq

#: RuntimeError is its "channel closed".
AMQP_ERRORS: Final = (aiormq.AMQPError, OSError, RuntimeError)


def describe(error: BaseException) -> str:
    """The text of an exception of aiormq, some of which have none."""
    return str(error) or type(error).__name__
