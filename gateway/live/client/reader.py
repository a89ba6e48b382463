"""Reading one client: its frames are carried out one after the other, a turn at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Protocol

from broker.protocol.stomp import Frame, HeartBeat
from broker.timing.tasks import Tasks
from gateway.live.bytes_in_hand import Account
from gateway.live.client.socket import PAUSE, ClientSocket, Pause
from gateway.metered import Metered
from gateway.rotation import Rotation, Waiting

#: The rest of a request that cannot be carried out at once.
Work = Coroutine[None, None, None]
#: What has come and was not taken yet.
Incoming = Iterator[Frame | HeartBeat | Pause]
#: Passes on acknowledgements at the beginning of what has come: how many, in how many bytes.
FastPath = Callable[[bytes], tuple[int, int]]


class Consumer(Protocol):
    """The connection, as far as it is given what the client sends."""

    @property
    def ended(self) -> bool:
        """Whether no frame is to be carried out any more."""

    def carry_out(self, frame: Frame) -> Work | None:
        """Carry out what the client asks for, at once or with the work that is returned."""

    def left(self) -> Work | None:
        """The client has sent Close. To be called until it returns None."""

    def failed(self, error: Exception) -> None:
        """A frame was wrong, or could not be carried out."""

    def lost(self) -> None:
        """The socket broke off."""


class Reader:
    """The reader of one client. ``account``: where the bytes are counted that it has not taken yet.

    While a frame is carried out, or when the client's turn or its rate is used up, nothing more is
    read: the rest stays in the socket, and TCP tells the client so.
    """

    __slots__ = (
        "_account",
        "_consumer",
        "_loop",
        "_resting",
        "_rotation",
        "_socket",
        "_tasks",
        "_timer",
        "_turn",
        "_working",
        "fast_path",
        "receipt",
    )

    def __init__(
        self,
        socket: ClientSocket,
        consumer: Consumer,
        *,
        account: Account,
        tasks: Tasks,
        rotation: Rotation,
    ) -> None:
        #: The receipt that the frame asks for which is being carried out.
        self.receipt: str | None = None
        #: Set as soon as there is an uplink.
        self.fast_path: FastPath | None = None
        self._socket = socket
        self._consumer = consumer
        self._account = account
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._working: asyncio.Task[None] | None = None
        self._rotation = rotation
        #: Unfinished frames, or none, that wait for the next turn, or for the rate to allow it.
        self._resting: Incoming | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._turn: Waiting | None = None

    def begin(self) -> None:
        self._socket.transport.attach(received=self._received, lost=self._consumer.lost)

    async def finished(self) -> None:
        """Wait for the work that has begun."""
        while self._working is not None:
            await asyncio.wait({self._working})

    def close(self) -> None:
        """Carry nothing out any more."""
        if self._working is not None:
            self._working.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _received(self, data: bytes) -> None:
        try:
            self._read(data)
        except Exception as error:
            self._consumer.failed(error)

    def _read(self, data: bytes) -> None:
        socket = self._socket
        if self.fast_path is not None and socket.between_frames:
            found, end = self.fast_path(data)
            if found:
                socket.frames_in += found
                socket.allowance.spend(found)
                if end == len(data):
                    self._rest(iter(()), unfinished=False)
                    return
                data = data[end:]
        self._take(socket.frames(data))

    def _take(self, frames: Incoming) -> None:
        """Carry out what has come. Where one frame has to wait, the others do."""
        consumer = self._consumer
        try:
            for frame in frames:
                if frame is PAUSE:
                    self._rest(frames, unfinished=True)
                    return
                if isinstance(frame, Frame) and not consumer.ended:
                    self.receipt = frame.get("receipt")
                    waiting = consumer.carry_out(frame)
                    if waiting is not None:
                        self._wait_for(waiting, frames)
                        return
                    self.receipt = None
            if self._socket.left:
                if (waiting := consumer.left()) is not None:
                    self._wait_for(waiting, iter(()))
                    return
            elif self._socket.asks_too_much:
                self._wait_for(self._socket.answers_taken(), iter(()))
                return
        except Exception as error:
            consumer.failed(error)
        self._rest(iter(()), unfinished=False)

    def _rest(self, frames: Incoming, *, unfinished: bool) -> None:
        """The turn is over: unfinished frames go on in the next one, and nothing more is read until
        the client's rate allows it."""
        self._account.keep(self._socket.held)
        socket = self._socket
        seconds = socket.allowance.end_turn(self._loop.time(), socket.transport.bytes_in)
        if seconds > 0:
            self._timer = self._loop.call_later(seconds, self._await_turn)
        elif not unfinished:
            return
        self._resting = frames
        self._socket.transport.hold()
        if seconds <= 0:
            self._await_turn()

    def _await_turn(self) -> None:
        self._timer = None
        transport = self._socket.transport
        self._turn = self._rotation.wait(self._go_on, transport.share, transport)

    def _go_on(self) -> None:
        self._turn = None
        frames, self._resting = self._resting, None
        if frames is not None:
            self._take(frames)
            self._listen_again()

    def _listen_again(self) -> None:
        if self._resting is None and self._working is None:
            self._socket.transport.listen()

    def _wait_for(self, waiting: Work, frames: Incoming) -> None:
        self._socket.transport.hold()
        self._account.keep(self._socket.held)
        self._working = self._tasks.spawn(
            self._work(waiting, frames), "a client's request", failed=self._broken_off
        )

    async def _work(self, waiting: Work, frames: Incoming) -> None:
        try:
            await Metered(waiting, self._took, watch=self._rotation.watch, pays=self._computed)
        except Exception as error:
            self._consumer.failed(error)
        else:
            self.receipt = None
            rotation, transport = self._rotation, self._socket.transport
            if rotation.may_work(transport.share):
                rotation.work(partial(self._take, frames), transport.share, transport)
            else:
                # Each frame that has to wait would be a way past the others.
                self._resting = frames
                self._await_turn()
        if self._working is asyncio.current_task():
            self._working = None
            self._listen_again()

    def _took(self, seconds: float) -> None:
        """Work that has to wait goes on outside of the client's turns, and counts as they do."""
        transport = self._socket.transport
        self._rotation.charge(seconds, transport.share, transport)

    def _computed(self, seconds: float) -> None:
        """So does what threads compute for it, though it takes nothing of a turn of the loop."""
        self._rotation.charge_too(seconds, self._socket.transport.share)
        self._rotation.rest(seconds, self._socket.transport.share)

    def _broken_off(self, fault: Exception) -> None:
        """Work was cancelled, perhaps by somebody else: nothing that came after would be read."""
        self._working = None
        if not self._consumer.ended:
            self._consumer.failed(fault)
            self._listen_again()
