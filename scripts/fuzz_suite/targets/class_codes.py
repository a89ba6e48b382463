"""Class codes as somebody types them: a code, or none."""

from gateway.domain.class_code import LENGTH, LETTERS, class_code

SEEDS = (b"BCD-FGH", b"bcd fgh", "ＢＣＤＦＧＨ".encode(), b"8CDF5H", "ㅠㅊㅇㄹㅎㅗ".encode())


def check(data: bytes) -> None:
    """What is read is a code in its one form, whatever stands around its letters."""
    written = data.decode(errors="surrogateescape")
    code = class_code(written)
    if code is None:
        return
    assert len(code) == LENGTH
    assert set(code) <= set(LETTERS)
    assert class_code(code) == code
    assert class_code(f" {code[:3]}-{code[3:].lower()} ") == code
