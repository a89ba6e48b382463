"""The pages of docs/reference/ that are made: they are as what they are made from."""

import pytest

from devenv import reference_pages
from devenv.reference_pages import FOLDER, PAGES, comments_of
from gateway.config import Config


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_current(name: str) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "run scripts/reference"


def test_a_comment_is_for_the_keys_that_follow_it() -> None:
    example = "# Of both.\n#one = 1\ntwo = 2\n\n[table]\n# Of the\n# third.\nthree = 3\nfour = 4\n"
    assert comments_of(example) == {
        ("", "one"): "Of both.",
        ("", "two"): "Of both.",
        ("table", "three"): "Of the third.",
        ("table", "four"): "Of the third.",
    }


def test_every_key_is_explained() -> None:
    text = reference_pages.configuration()
    for table in Config.model_fields:
        assert f"`{table}`" in text or f"[{table}" in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 150
    assert [row for row in rows if row.endswith("|  |")] == []
