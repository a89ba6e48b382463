"""Signals that ask a script to end, as KeyboardInterrupt: what it has started ends in order."""

import signal
from types import FrameType
from typing import NoReturn


def signals_raise() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
