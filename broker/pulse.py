"""Heart-beats with one peer (STOMP 1.2, "Heart-beating"): send in time, notice silence."""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from typing import Final

#: Silence of so many intervals is death: the specification asks for a margin, and RabbitMQ
#: allows its own peers two to three.
PATIENCE: Final = 2.5


class Pulse:
    """Calls ``beat`` when nothing was sent for half of ``outgoing`` seconds, and ``lost`` when
    nothing was received for :data:`PATIENCE` times ``incoming``; 0 switches either off.

    ``sent_at`` and ``received_at`` tell when something last was, on the loop's clock.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        *,
        outgoing: float,
        incoming: float,
        sent_at: Callable[[], float],
        received_at: Callable[[], float],
        beat: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._send_within = outgoing / 2
        self._hear_within = incoming * PATIENCE
        self._sent_at = sent_at
        self._received_at = received_at
        self._beat = beat
        self._lost = lost
        self._timers: dict[Callable[[], None], TimerHandle] = {}
        if outgoing:
            self._wait(self._check_sent, self._send_within)
        if incoming:
            self._wait(self._check_received, self._hear_within)

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _wait(self, check: Callable[[], None], seconds: float) -> None:
        self._timers[check] = self._loop.call_later(seconds, check)

    def _check_sent(self) -> None:
        left = self._send_within - (self._loop.time() - self._sent_at())
        # A timer may fire a clock tick early; a tenth of the interval is no reason to wait again.
        if left <= self._send_within / 10:
            left = self._send_within
            self._beat()
        self._wait(self._check_sent, left)

    def _check_received(self) -> None:
        left = self._hear_within - (self._loop.time() - self._received_at())
        if left <= 0:
            self._lost()
        else:
            self._wait(self._check_received, left)
