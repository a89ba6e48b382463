"""Fakes in memory for the parts of a relay."""

from dataclasses import dataclass, field

from broker.topology import Stream


@dataclass
class FakeNotes:
    """What was noted of the messages of private queues, in order."""

    noted: list[tuple[str, Stream, int]] = field(default_factory=list)

    def delivered(self, stream: Stream, seq: int) -> None:
        self.noted.append(("delivered", stream, seq))

    def acknowledged(self, stream: Stream, seq: int) -> None:
        self.noted.append(("acknowledged", stream, seq))
