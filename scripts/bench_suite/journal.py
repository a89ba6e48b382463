"""A complete check of everything that a destination's subscribers receive, at the speed of memcmp.

The first subscriber to receive a frame has it parsed: is it the next number, of this destination?
It then stands in the journal. Whoever receives the very same bytes has received the same message;
comparing is 30 times cheaper than parsing, so that the check does not limit what is measured. What
differs (each subscriber of RabbitMQ has message ids of its own) is parsed for each subscriber.
"""

from bisect import bisect_right
from collections.abc import Callable

from broker.protocol.websocket import Opcode, walk

#: Bytes; far above everything that the bench sends.
_FRAME_BYTES = 1 << 20
#: Faults that are kept as text; all are counted.
_FAULTS_TOLD = 3

Frame = bytes | memoryview


class Journal:
    """The MESSAGE frames of one destination, numbered from ``first`` on."""

    def __init__(self, destination: str, *, first: int) -> None:
        self.destination = destination
        self.first = first
        self.next = first
        self.data = bytearray()
        #: When each message was published: what `stamp` made of its body.
        self.published: list[int] = []
        self._marker = f"\ndestination:{destination}\n".encode()
        self._starts: list[int] = []

    def append(self, frame: Frame, published: int) -> None:
        """The frame of number ``next``."""
        self._starts.append(len(self.data))
        self.data += frame
        self.published.append(published)
        self.next += 1

    def is_own(self, payload: bytes) -> bool:
        """Whether a MESSAGE belongs to this destination."""
        return self._marker in payload

    def offset(self, seq: int) -> int:
        """The position at which number ``seq`` begins; the end for the next one."""
        index = seq - self.first
        return self._starts[index] if index < len(self._starts) else len(self.data)

    def complete(self, offset: int) -> int:
        """The last number that lies before ``offset`` as a whole."""
        if offset == len(self.data):
            return self.next - 1
        return self.first + bisect_right(self._starts, offset) - 2

    def holds(self, frame: Frame, seq: int) -> bool:
        """Whether the frame of ``seq`` has these bytes."""
        end = self.offset(seq) + len(frame)
        return end == self.offset(seq + 1) and self.data.startswith(frame, self.offset(seq))


class Reader:
    """One subscriber's receiving half: `feed` takes what came, cut anywhere.

    ``faults`` counts holes, repetitions and foreign messages. ``other`` is given every frame that
    is no MESSAGE, as opcode and payload; ``message`` every MESSAGE, if it is wanted: then nothing
    is compared and all is parsed.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        other: Callable[[int, bytes], None],
        message: Callable[[bytes], None] | None = None,
    ) -> None:
        self.journal = journal
        self.faults = 0
        self.told: list[str] = []
        self._other = other
        self._on_message = message
        self._rest = b""
        self._alike = message is None
        self._offset = 0
        self._last = journal.first - 1

    @property
    def last(self) -> int:
        """The number of the last message that has come as a whole."""
        return self.journal.complete(self._offset) if self._alike else self._last

    def feed(self, chunk: Frame) -> None:
        if self._rest:
            chunk = self._rest + bytes(chunk)
            self._rest = b""
        if self._alike:
            data = self.journal.data
            known = len(data) - self._offset
            if data.startswith(chunk[:known], self._offset):
                if known >= len(chunk):
                    self._offset += len(chunk)
                    return
                self._offset += known
                chunk = chunk[known:]
            chunk = self._from_the_frame(chunk)
        self._walk(chunk)
        if self._alike:
            self._offset = self.journal.offset(self._last + 1)

    def _from_the_frame(self, chunk: Frame) -> Frame:
        """The chunk with the beginning of its first frame, which was found in the journal."""
        self._last = self.journal.complete(self._offset)
        start = self.journal.offset(self._last + 1)
        if start == self._offset:
            return chunk
        return bytes(self.journal.data[start : self._offset]) + bytes(chunk)

    def _walk(self, chunk: Frame) -> None:
        start = 0
        for opcode, _, begin, end in walk(chunk, frame_bytes=_FRAME_BYTES):
            payload = bytes(chunk[begin:end])
            if opcode <= Opcode.BINARY and payload.startswith(b"MESSAGE\n"):
                self._message(payload, chunk[start:end])
            else:
                self._other(opcode, payload)
            start = end
        self._rest = bytes(chunk[start:])

    def _message(self, payload: bytes, frame: Frame) -> None:
        journal = self.journal
        seq = number(payload)
        if seq is None or not journal.is_own(payload):
            self._fault(f"a foreign message: {payload[:200]!r}")
            return
        if seq != self._last + 1:
            self._fault(f"{seq} came after {self._last}")
        self._last = seq
        if seq == journal.next:
            journal.append(frame, stamp(payload))
        elif not journal.first <= seq < journal.next or not journal.holds(frame, seq):
            self._alike = False
        if self._on_message is not None:
            self._on_message(payload)

    def _fault(self, text: str) -> None:
        self.faults += 1
        if len(self.told) < _FAULTS_TOLD:
            self.told.append(f"{self.journal.destination}: {text}")


def number(payload: bytes) -> int | None:
    """The ``seq`` header of a STOMP frame."""
    begin = payload.find(b"\nseq:")
    if begin < 0:
        return None
    text = payload[begin + 5 : payload.find(b"\n", begin + 5)]
    return int(text) if text.isdigit() else None


def stamp(payload: bytes) -> int:
    """The time of publishing in the message's body (`time.monotonic_ns`); 0 if there is none."""
    begin = payload.find(b'"body":"')
    text = payload[begin + 8 : begin + 24]
    return int(text, 16) if begin >= 0 and len(text) == 16 else 0
