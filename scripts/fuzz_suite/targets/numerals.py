"""Natural numbers with one spelling each."""

from broker.protocol.numerals import natural

SEEDS = (b"0", b"42", b"999999999999999999", b"+7", "٣".encode())


def check(data: bytes) -> None:
    """What is accepted spells itself."""
    text = data.decode(errors="replace")
    number = natural(text)
    if number is None:
        assert text != "0"
    else:
        assert str(number) == text
        assert 0 <= number < 2**63
