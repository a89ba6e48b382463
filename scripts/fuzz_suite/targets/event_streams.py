"""Server-sent events: whatever is said stays within its own event, and its frame within its end."""

import re

from gateway.live.event_stream import Framing, event

SEEDS = (
    b'{"seq":7}',
    b"a\r\nid: 9\r\n\r\nb",
    b"\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"\n\n\n",
    b"",
)


def check(data: bytes) -> None:
    """Every line of the data is a field of its own, no other field is made by it, and frames are
    found again, wherever what has come ends."""
    whole = event(data, id=1)
    said = re.split(rb"\r\n|\r|\n", data)
    assert whole.split(b"\n") == [b"id: 1", *(b"data: " + line for line in said), b"", b""]
    for chunked in (True, False):
        framing = Framing(chunked)
        frames = framing.frame(whole) * 2
        half = len(frames) // 2
        assert list(framing.ends(frames)) == [half, len(frames)]
        assert list(framing.ends(frames[:-1])) == [half]
        assert list(framing.ends(frames[: half - 1])) == []
