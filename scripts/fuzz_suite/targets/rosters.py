"""Lists of people, pasted or from a file: lines, or what is wrong."""

from gateway.domain.roster import MOST_LINES, decoded, lines_of

SEEDS = (
    b"user;name;role\nbob;Bob B.;host\n",
    b"ann, bob; carol\ndave",
    "학번\t이름\r\n1\t김민아\r\n".encode("utf-16"),
    "이름\n김민아\n".encode("cp949"),
    b'user,name\nann,"Ann, ""A."""\n',
)


def check(data: bytes) -> None:
    """No error but a `ValueError`. Each line has a number that a text of that length can have, and
    cells without line breaks; each name of a plain list stands in the text."""
    try:
        text = decoded(data)
        lines = list(lines_of(text))
    except ValueError:
        return
    assert len(lines) <= MOST_LINES
    last = text.count("\n") + text.count("\r") + 1
    for line in lines:
        assert 1 <= line.number <= last
        for cell in line.cells.values():
            assert cell == cell.strip()
            assert "\n" not in cell
