"""The pages' reasons: each code of a refusal has words in both languages (`shared/words.js`)."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.auth.revocations import kept_out
from gateway.domain.revocation import Revocation, Target
from gateway.errors import ERRORS

_STATIC = Path(__file__).parents[2] / "static"
_LANGUAGES = ("en", "ko")


def _words(language: str) -> str:
    """The source of a language's words."""
    source = (_STATIC / "shared" / "words.js").read_text()
    parts = re.split(r"^  (\w+): \{$", source, flags=re.MULTILINE)
    words = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert set(words) == set(_LANGUAGES)
    return words[language]


def _reasons() -> dict[str, dict[str, str]]:
    """By language: code -> words."""
    return {
        language: dict(re.findall(r'"problem\.([\w.]+)":\s+"((?:[^"\\]|\\.)*)"', _words(language)))
        for language in _LANGUAGES
    }


def _codes_of_the_library() -> set[str]:
    """The codes of the problems that the browser library makes itself."""
    sources = [path.read_text() for path in (_STATIC / "interact").glob("*.js")]
    return {code for text in sources for code in re.findall(r'new Problem\(\d+, "(\w+)"', text)}


@pytest.mark.parametrize("language", _LANGUAGES)
def test_every_reason_for_a_refusal_is_told_in_the_reader_s_language(language: str) -> None:
    codes = {row.code for row in ERRORS.values()} | _codes_of_the_library()
    assert len(codes) > 80
    reasons = _reasons()
    assert set(reasons) == set(_LANGUAGES)
    assert sorted(codes - set(reasons[language])) == []


def _types_of_the_pages() -> set[str]:
    """The types of the messages by which a page does something, other than to say it."""
    room = _STATIC / "room"
    sources = [(room / name).read_text() for name in ("classroom.js", "order.js", "sets.js")]
    named = {each for text in sources for each in re.findall(r'\btype: "([\w-]+)"', text)}
    named |= {each for text in sources for each in re.findall(r'SET = "([\w-]+)"', text)}
    return named - {"question", "answer", "clap"}


@pytest.mark.parametrize("language", _LANGUAGES)
def test_whatever_was_refused_is_told_by_what_it_is(language: str) -> None:
    types = _types_of_the_pages()
    assert {"voting", "poll-set", "muted"} <= types
    words = _words(language)
    assert sorted(each for each in types if not re.search(f'"post.is.{each}": "', words)) == []


def test_the_korean_reasons_are_korean() -> None:
    english = {
        code: text
        for code, text in _reasons()["ko"].items()
        if not re.search(r"[가-힣]", text) or re.search(r"[a-z]{3,} [a-z]{3,}", text)
    }
    assert english == {}


def test_the_pages_read_the_time_and_the_reason_of_someone_who_is_kept_out() -> None:
    until = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
    entry = Revocation(
        target=Target.USER,
        value="paul",
        since=until,
        until=until,
        kept_out_until=until,
        reason="Go home",
    )
    error = kept_out(entry, now=until.timestamp() - 1)
    # The same text is read in tests/js/shared/i18n.test.js.
    assert error.detail == "an admin keeps you out until 2030-01-02T03:04:00Z: Go home"
