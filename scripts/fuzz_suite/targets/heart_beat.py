"""The header heart-beat: two numbers, or an error."""

from broker.protocol.stomp import MalformedFrame, parse_heart_beat

SEEDS = (b"10000,10000", b"0,0", b"1,99999999999")


def check(data: bytes) -> None:
    """What is accepted is spelled in digits alone."""
    text = data.decode(errors="replace")
    try:
        sent, wanted = parse_heart_beat(text)
    except MalformedFrame:
        return
    assert (sent, wanted) == tuple(map(int, text.split(",")))
    assert 0 <= sent < 10**9
    assert 0 <= wanted < 10**9
    assert set(text) <= set("0123456789,")
