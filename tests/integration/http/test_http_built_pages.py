"""The built pages: few requests, compressed as the client likes, and asked for only once."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from devenv import page_build, vendor
from gateway.assembly import Gateway
from gateway.http import app, built_pages
from gateway.http.built_pages import NotBuilt
from tests.integration.http.conftest import ORIGIN, Answer, Call

#: What a room page may cost over the wire, without what the API answers: a cold load has ten more
#: requests, to the API (tests/acceptance/browser/test_weight.py).
_MOST_FILES = 3
_MOST_BYTES = 100_000
_PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pages as they are built now."""
    vendor.ensure(print)
    return _PROJECT / "static" / "built"


@pytest.fixture
def settings_of_pages(tables: dict[str, Any], built: Path) -> None:
    tables["server"]["pages"] = "built"


def links(page: bytes) -> list[str]:
    """The addresses that a page names."""
    return re.findall(r'(?:src|href)="(/[^"]+)"', page.decode())


async def files(call: Call, page: str, **headers: str) -> list[Answer]:
    """The page, and everything that it names."""
    first = await call("GET", page, headers=headers)
    assert first.status == 200
    rest = links((await call("GET", page)).body)
    return [first, *[await call("GET", each, headers=headers) for each in rest]]


@pytest.mark.usefixtures("settings_of_pages")
@pytest.mark.parametrize("path", ["/", "/j/ABCDEF", "/admin", "/admin/"])
@pytest.mark.gen_test
async def test_a_page_is_few_small_files(path: str, call: Call) -> None:
    found = await files(call, path, **{"Accept-Encoding": "gzip, br"})
    assert [each.status for each in found] == [200] * len(found)
    assert len(found) <= _MOST_FILES
    assert sum(int(each.headers["Content-Length"]) for each in found) < _MOST_BYTES
    assert {each.headers["Content-Encoding"] for each in found} == {"br"}


@pytest.mark.usefixtures("settings_of_pages")
@pytest.mark.gen_test
async def test_a_reload_asks_for_nothing_but_the_page(call: Call) -> None:
    page, *rest = await files(call, "/", **{"Accept-Encoding": "br"})
    assert page.headers["Cache-Control"] == "no-cache"
    for each in rest:
        assert each.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    again = {"If-None-Match": page.headers["Etag"], "Accept-Encoding": "br"}
    answer = await call("GET", "/", headers=again)
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.usefixtures("settings_of_pages")
@pytest.mark.gen_test
async def test_each_coding_is_the_same_file_and_has_a_tag_of_its_own(
    call: Call, built: Path
) -> None:
    page = (await call("GET", "/")).body
    (script,) = (each for each in links(page) if each.endswith(".js"))
    plain = await call("GET", script)
    zipped = await call("GET", script, headers={"Accept-Encoding": "gzip, br;q=0.1"})
    brotli = await call("GET", script, headers={"Accept-Encoding": "br"})
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert (gzip.decompress(zipped.body), zipped.headers["Content-Encoding"]) == (
        plain.body,
        "gzip",
    )
    assert brotli.body == (built / f"{script.rpartition('/')[2]}.br").read_bytes()
    tags = {each.headers["Etag"] for each in (plain, zipped, brotli)}
    assert len(tags) == 3
    assert {each.headers["Vary"] for each in (plain, zipped, brotli)} == {"Accept-Encoding"}
    head = await call("HEAD", script)
    assert (head.body, head.headers["Content-Length"]) == (b"", str(len(plain.body)))


@pytest.mark.usefixtures("settings_of_pages")
@pytest.mark.gen_test
async def test_no_request_reads_a_file(
    call: Call, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = ["/", *links((await call("GET", "/")).body)]

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a file is read")

    for name in ("open", "read_bytes", "read_text"):
        monkeypatch.setattr(Path, name, refuse)
    monkeypatch.setattr("builtins.open", refuse)
    for path in paths:
        assert (await call("GET", path, headers={"Accept-Encoding": "br"})).status == 200


@pytest.mark.usefixtures("settings_of_pages")
@pytest.mark.gen_test
async def test_the_policy_lets_nothing_in_but_icons_of_style_sheets(call: Call) -> None:
    answer = await call("GET", "/")
    policy = answer.headers["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'self'"
    assert directives["img-src"] == "'self' data:"
    assert "script-src" not in directives
    assert "style-src" not in directives
    # What the policy forbids is not there either.
    text = answer.body.decode()
    assert not re.search(r"<script(?![^>]* src=)|<style|style=|\son\w+=", text)


@pytest.mark.usefixtures("settings_of_pages")
@pytest.mark.gen_test
async def test_a_page_of_another_version_gets_this_ones_files_and_keeps_none(call: Call) -> None:
    page = (await call("GET", "/")).body
    (script,) = (each for each in links(page) if each.endswith(".js"))
    answer = await call("GET", "/static/built/room-0123456789abcdef.js")
    assert answer.body == (await call("GET", script)).body
    assert answer.headers["Cache-Control"] == "no-store"
    for path in ("none-0123456789abcdef.js", "room-0123456789abcdef.css.map", "room.js", "-.js"):
        assert (await call("GET", f"/static/built/{path}")).problem == (404, "unknown_path")


@pytest.mark.usefixtures("settings_of_pages")
@pytest.mark.gen_test
async def test_the_library_stays_where_it_is(call: Call) -> None:
    for path in ("/static/interact/index.js", "/static/js/interact.js"):
        answer = await call("GET", path, headers={"Origin": ORIGIN})
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


@pytest.mark.usefixtures("settings_of_pages")
@pytest.mark.gen_test
async def test_the_source_map_has_the_sources_as_they_are(call: Call) -> None:
    page = (await call("GET", "/")).body
    for path in (each for each in links(page) if each.endswith((".js", ".css"))):
        text = (await call("GET", path)).body.decode()
        named = re.findall(r"sourceMappingURL=(\S+)", text)[-1]
        source_map = (await call("GET", f"/static/built/{named}")).json
        read = [
            (source, content)
            for source, content in zip(
                source_map["sources"], source_map["sourcesContent"], strict=True
            )
            if source.startswith("static/")
        ]
        assert len(read) > 5
        for source, content in read:
            assert (_PROJECT / source).read_text() == content, source
        # A developer's tools find them at the gateway, too.
        assert (await call("GET", f"/{read[0][0]}")).status == 200


@pytest.mark.gen_test
async def test_whoever_changes_the_pages_gets_their_sources(
    tables: dict[str, Any], call: Call
) -> None:
    assert tables["server"]["pages"] == "sources"
    assert (await call("GET", "/")).body == (app.STATIC / "room" / "index.html").read_bytes()


def test_the_same_sources_give_the_same_files(built: Path, tmp_path: Path) -> None:
    page_build.build(_PROJECT, tmp_path, print)
    for file in json.loads((built / "manifest.json").read_text())["files"]:
        assert (tmp_path / file).read_bytes() == (built / file).read_bytes()


def test_whatever_is_read_changes_the_digest(tmp_path: Path) -> None:
    static = tmp_path / "static"
    (static / "room").mkdir(parents=True)
    (tmp_path / "package-lock.json").write_text("{}")
    (static / "room" / "main.js").write_text("1")
    seen = {page_build.digest(tmp_path)}
    (static / "room" / "main.js").write_text("2")
    seen.add(page_build.digest(tmp_path))
    (static / "room" / "main.js").rename(static / "room" / "other.js")
    seen.add(page_build.digest(tmp_path))
    (tmp_path / "package-lock.json").write_text("{ }")
    seen.add(page_build.digest(tmp_path))
    assert len(seen) == 4
    # What the build itself writes does not count.
    (static / "built").mkdir()
    (static / "built" / "room.js").write_text("x")
    assert page_build.digest(tmp_path) in seen


def test_a_build_that_is_not_whole_is_none(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "built"
    shutil.copytree(built, folder)
    pages = built_pages.load(folder)
    assert set(pages.pages) == {"room", "admin", "accounts"}
    next(folder.glob("room-*.js.br")).unlink()
    with pytest.raises(NotBuilt, match=r"room-.*\.js\.br"):
        built_pages.load(folder)
    assert built_pages.load_if_there(folder) is None
    assert built_pages.load_if_there(tmp_path / "nothing") is None


def test_memory_has_a_limit(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(built_pages, "MOST", 100_000)
    with pytest.raises(NotBuilt, match="more than 100000"):
        built_pages.load(built)
