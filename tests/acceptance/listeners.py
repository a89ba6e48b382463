"""Clients that listen in threads of their own and keep what they hear, in its order."""

import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

import websocket

from tests.acceptance.broker_view import wait_for
from tests.acceptance.conftest import connected
from tests.acceptance.gateway_process import GatewayProcess
from tests.acceptance.stomp_client import Closed, Received, StompClient


class Listener:
    """One client, subscribed to one destination, listening until it is closed."""

    def __init__(self, client: StompClient, destination: str, **headers: str) -> None:
        self.frames: list[Received] = []
        #: Why it ended, unless we closed it.
        self.ended: Exception | None = None
        self._client = client
        self._closing = False
        client.subscribe(destination, **headers)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closing = True
        with suppress(OSError, AttributeError):
            # Wakes the reader, which a mere close does not.
            self._client.socket.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        self._thread.join()
        self._client.socket.shutdown()  # type: ignore[no-untyped-call]

    @property
    def seqs(self) -> list[int]:
        return [int(frame.headers["seq"]) for frame in self.frames if "seq" in frame.headers]

    @property
    def bodies(self) -> list[bytes]:
        return [frame.body for frame in self.frames]

    def _listen(self) -> None:
        while not self._closing:
            try:
                frame = self._client.receive()
            except (TimeoutError, websocket.WebSocketTimeoutException):
                continue
            except (Closed, OSError, websocket.WebSocketException) as error:
                self.ended = None if self._closing else error
                return
            self.frames.append(frame)


@contextmanager
def listeners(
    gateway: GatewayProcess, users: Iterable[str], destination: str, **headers: str
) -> Iterator[list[Listener]]:
    """One for each user, at once."""
    with ExitStack() as stack:
        found: list[Listener] = []
        failures: list[BaseException] = []
        lock = threading.Lock()

        def open_one(user: str) -> None:
            try:
                listener = Listener(connected(gateway, user), destination, **headers)
            except (AssertionError, OSError, Closed, websocket.WebSocketException) as error:
                failures.append(error)
            else:
                with lock:
                    found.append(stack.enter_context(listener))

        threads = [threading.Thread(target=open_one, args=(user,)) for user in users]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures[0]
        yield found


class Posting:
    """Members who post steadily from threads of their own, until the block ends.

    `receipts`: each post's seq and the moment it was sent. What is not accepted is sent again.
    """

    def __init__(self, gateways: Iterable[GatewayProcess], room: int, user: str) -> None:
        self.receipts: dict[int, float] = {}
        self._room = room
        self._user = user
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._post, args=(each,)) for each in gateways]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def await_more(self, count: int) -> None:
        """Until so many more are accepted."""
        wanted = len(self.receipts) + count
        wait_for(lambda: len(self.receipts) >= wanted, within=60)

    def _post(self, gateway: GatewayProcess) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            status, receipt = gateway.post(self._room, self._user, f"at {began}")
            if status in (201, 202):
                self.receipts[receipt["seq"]] = began
            self._stop.wait(0.02)


def assert_all_heard(
    heard: Iterable[Listener], first: int, last: int, *, within: float = 30.0
) -> None:
    """Everyone has heard exactly these, in order, and nobody was closed."""
    wanted = list(range(first, last + 1))
    for each in heard:
        wait_for(lambda each=each: each.ended or len(each.frames) >= len(wanted), within=within)  # type: ignore[misc]
        assert each.ended is None, each.ended
        assert each.seqs == wanted
