"""Proofs that RabbitMQ has taken frames which it does not answer by itself.

RabbitMQ takes a session's frames in their order. So a BEGIN and an ABORT of a transaction that
nothing else uses, with receipts, prove everything that was sent before; they need no permission and
change nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from broker.protocol.stomp import serialise
from gateway.live.relay.doubt import Doubt

#: Seconds after which it is asked: once about all that is sent in a row.
ASK: Final = 0.05
#: Seconds between the two questions, if messages are in doubt: they go on to a channel, whose
#: refusal comes a moment after the first answer (measured: 0 to 8 ms, and at most six times what
#: that one took). A node that is busy takes longer for both: so many times as long as for the first
#: answer, within these bounds.
SETTLE: Final = 0.1
LONGEST_SETTLE: Final = 1.0
BUSY: Final = 10.0


@dataclass(slots=True)
class _Proof:
    """One question: about all frames up to ``upto``, with ``messages`` among them, asked at this
    time on the loop's clock."""

    name: str
    upto: int
    messages: bool
    asked: float

    @property
    def begun(self) -> str:
        return f"{self.name}-begin"

    @property
    def over(self) -> str:
        return f"{self.name}-abort"

    def pause(self, now: float) -> float:
        """Seconds until its second part, once the first one is answered."""
        if not self.messages:
            return 0.0
        return min(LONGEST_SETTLE, max(SETTLE, BUSY * (now - self.asked)))


class Proofs:
    """One client's questions to RabbitMQ.

    ``doubt`` gives the doubt of the present session, ``send`` passes STOMP bytes on in it. ``name``
    begins the ids of the gateway's own receipts, and nobody else can know it.
    """

    def __init__(
        self, name: str, *, doubt: Callable[[], Doubt], send: Callable[[bytes], None]
    ) -> None:
        self._name = name
        self._doubt = doubt
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._proof: _Proof | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._change: asyncio.Future[None] | None = None
        #: Counts sessions, so that nobody who waits in one goes on in another.
        self._session = 0

    def soon(self) -> None:
        """Ask in a moment, if anything is in doubt that no answer on its way will prove: once it is
        proven, what ends the session later was something else."""
        if self._doubt().is_to_be_asked and self._proof is None and self._timer is None:
            self._timer = self._loop.call_later(ASK, self._ask_if_needed)

    async def now(self) -> None:
        """Ask, and wait until everything sent so far is proven, or the session has ended."""
        session = self._session
        while self._proof is not None and self._session == session:
            await self.change()
        if self._session == session:
            self._ask()
        asked = self._proof
        while asked is not None and self._proof is asked and self._session == session:
            await self.change()

    async def change(self) -> None:
        """Wait for any answer, or the session's end."""
        if self._change is None:
            self._change = self._loop.create_future()
        await asyncio.wait({self._change})

    def answered(self, receipt: str) -> bool:
        """A RECEIPT has come; whether it is the gateway's own."""
        proof = self._proof
        if proof is not None and receipt == proof.begun:
            pause = proof.pause(self._loop.time())
            self._timer = self._loop.call_later(pause, self._ask_again, proof)
        elif proof is not None and receipt == proof.over:
            self._proof = None
            self._doubt().proven(proof.upto)
            self.soon()
        return receipt.startswith(self._name)

    def wake(self) -> None:
        """End all waits for a :meth:`change`."""
        if self._change is not None:
            self._change.set_result(None)
            self._change = None

    def end_session(self) -> None:
        """Nothing more is asked or heard in this session."""
        self._session += 1
        self._stop()
        self._proof = None
        self.wake()

    def _ask_if_needed(self) -> None:
        """Ask, unless it was answered meanwhile."""
        self._timer = None
        if self._doubt().is_to_be_asked:
            self._ask()

    def _ask(self) -> None:
        self._stop()
        if self._proof is None:
            doubt = self._doubt()
            name, now = f"{self._name}-{doubt.passed}", self._loop.time()
            self._proof = _Proof(name, doubt.passed, doubt.messages, now)
            self._say("BEGIN", self._proof, self._proof.begun)

    def _ask_again(self, proof: _Proof) -> None:
        self._timer = None
        if self._proof is proof:
            self._say("ABORT", proof, proof.over)

    def _say(self, command: str, proof: _Proof, receipt: str) -> None:
        self._send(serialise(command, [("transaction", proof.name), ("receipt", receipt)]))

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
