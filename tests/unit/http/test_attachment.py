"""Names of files: whatever a room is called."""

import pytest

from gateway.http.attachment import attachment, file_name


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("7b Photosynthesis", "7b Photosynthesis"),
        ("중1 과학 · 광합성", "중1 과학 · 광합성"),
        ("../../etc/passwd", "etc passwd"),
        ('a:b*c?"d"<e>|f\\g', "a b c d e f g"),
        ("a\r\nSet-Cookie: x\0", "a Set-Cookie x"),
        ("gnp\u202efdp", "gnp fdp"),
        ("a\ud800b\u2028c", "a b c"),
        (".htaccess.", "htaccess"),
        ("... / ...", ""),
        ("x" * 59 + " y", "x" * 59),
        ("가" * 200, "가" * 60),
    ],
)
def test_a_title_gives_a_name_that_every_disk_takes(title: str, name: str) -> None:
    assert file_name(title) == name


def test_the_header_is_in_ascii_and_names_the_file_in_any_script() -> None:
    header = attachment("room-1-polls.csv", '방 (1)\'; x="y" 투표.csv')
    header.encode("ascii")
    assert header == (
        'attachment; filename="room-1-polls.csv"; '
        "filename*=UTF-8''%EB%B0%A9%20%281%29%27%3B%20x%3D%22y%22%20%ED%88%AC%ED%91%9C.csv"
    )
