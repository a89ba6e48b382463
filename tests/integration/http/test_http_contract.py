"""The contract as the gateway serves it: valid, readable by whom it should be, and true, which
schemathesis tries by calling everything in it."""

from __future__ import annotations

import asyncio
import json as jsons
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.config import Config
from gateway.http.listeners import Listener
from tests.integration.http.conftest import Call, token

_ASYNCAPI: Final = Path("node_modules/@asyncapi/specs/schemas/3.0.0-without-$id.json")
_PROJECT: Final = Path(__file__).parents[3]
_SCHEMATHESIS: Final = Path(sys.executable).with_name("schemathesis")
#: Streams without an end, and what is no JSON of the gateway's.
_NOT_CALLED: Final = r"^/(static|ws)|/events$|/live$"
_CHECKS: Final = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance"),
    *("negative_data_rejection", "allow_header_conformance"),
)


@dataclass(frozen=True)
class Caller:
    """Somebody as whom schemathesis calls. ``paths``: a pattern of what it calls; ``at_least``: the
    methods that must have given what was asked for."""

    user: str
    roles: tuple[str, ...]
    paths: str
    at_least: int


_CALLERS: Final = (
    Caller("anna", ("host",), r"^/(?!api/admin)", 20),
    Caller("bob", (), r"^/api/rooms/", 6),
    Caller("root", ("admin",), r"^/api/(admin|rooms)", 15),
)


@pytest.mark.gen_test
async def test_the_documents_are_valid(call: Call, call_internal: Call) -> None:
    for answer in (
        await call("GET", "/api/openapi.json"),
        await call_internal("GET", "/openapi.json"),
    ):
        assert list(OpenAPIV31SpecValidator(answer.json).iter_errors()) == []
    stomp = (await call("GET", "/api/asyncapi.json")).json
    schema = jsons.loads((_PROJECT / _ASYNCAPI).read_text())
    assert [str(error) for error in jsonschema_rs.iter_errors(schema, stomp)] == []


@pytest.mark.gen_test
async def test_the_page_needs_no_script_and_its_links_lead_somewhere(call: Call) -> None:
    answer = await call("GET", "/api/docs")
    text = answer.body.decode()
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "script" not in answer.headers["Content-Security-Policy"]
    assert "<script" not in text
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r'href="#([^"]+)"', text)) - set(ids) == set()
    assert "/api/rooms/{room}/messages" in text
    assert "/topic/acdm.mo.interact.public.{room}" in text


@pytest.mark.gen_test
async def test_a_document_is_sent_again_only_if_it_has_changed(call: Call) -> None:
    first = await call("GET", "/api/docs", headers={"Accept-Encoding": "gzip"})
    assert first.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in ",".join(first.headers.get_list("Vary"))
    again = {"Accept-Encoding": "gzip", "If-None-Match": first.headers["ETag"]}
    assert (await call("GET", "/api/docs", headers=again)).status == 304


class TestForAdmins:
    @pytest.fixture
    def tables(self, tables: dict[str, Any]) -> dict[str, Any]:
        tables["server"]["api_documents"] = "admins"
        return tables

    @pytest.mark.gen_test
    async def test_nobody_else_reads_them(self, call: Call) -> None:
        for path in ("/api/openapi.json", "/api/asyncapi.json", "/api/docs"):
            assert (await call("GET", path)).problem == (401, "not_authenticated")
            bob = await call("GET", path, user="bob", roles=("host",))
            assert bob.problem == (403, "access_refused")
            assert (await call("GET", path, user="root", roles=("admin",))).status == 200


class TestForNobody:
    @pytest.fixture
    def tables(self, tables: dict[str, Any]) -> dict[str, Any]:
        tables["server"]["api_documents"] = "nobody"
        return tables

    @pytest.mark.gen_test
    async def test_there_are_none(self, call: Call) -> None:
        for path in ("/api/openapi.json", "/api/asyncapi.json", "/api/docs"):
            answer = await call("GET", path, user="root", roles=("admin",))
            assert answer.problem == (404, "unknown_path")


class TestBySchemathesis:
    @pytest.fixture
    def tables(self, tables: dict[str, Any]) -> dict[str, Any]:
        # It calls from one address, as one user, faster than a person.
        tables["limits"] = {
            **tables["limits"],
            **{"posts_per_second": 1000, "user_http_connects_per_second": 1000},
            **{"rooms_per_minute": 10_000, "wrong_codes_per_minute": 10_000},
            **{"all_wrong_codes_per_minute": 10_000},
        }
        return tables

    @pytest.mark.gen_test(timeout=120)
    @pytest.mark.parametrize("caller", _CALLERS, ids=lambda caller: caller.user)
    async def test_every_answer_is_in_the_contract(
        self,
        public: Listener,
        call_internal: Call,
        settings: Config,
        room: str,
        caller: Caller,
        tmp_path: Path,
    ) -> None:
        bearer = token(settings, caller.user, *caller.roles, lifetime=600)
        configuration = tmp_path / "schemathesis.toml"
        configuration.write_text(f'[parameters]\n"path.room" = {room.rpartition("/")[2]}\n')
        async with _process(
            *("--config-file", str(configuration), "--no-color", "run"),
            f"{public.url}/api/openapi.json",
            *("--header", f"Authorization: Bearer {bearer}"),
            *("--checks", ",".join(_CHECKS), "--include-path-regex", caller.paths),
            *(
                "--exclude-path-regex",
                _NOT_CALLED,
                "--exclude-method",
                "OPTIONS",
                "--exclude-method",
                "HEAD",
            ),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", "5"),
            *("--generation-deterministic", "--no-shrink"),
            *("--continue-on-failure", "--request-timeout", "10", "--warnings", "off"),
            *("--suppress-health-check", "all"),
            cwd=tmp_path,
        ) as process:
            told, _ = await process.communicate()
        assert process.returncode == 0, told.decode()[-20_000:]
        # Otherwise it may have heard nothing but refusals.
        assert len(await _answered(call_internal)) >= caller.at_least


async def _answered(call_internal: Call) -> set[tuple[str, str]]:
    """Methods and routes that have been answered with what was asked for."""
    text = (await call_internal("GET", "/metrics")).body.decode()
    counted = r'^gateway_http_requests_total\{method="(\w+)",route="(\w+)",status="2'
    return set(re.findall(counted, text, re.M))


@asynccontextmanager
async def _process(*arguments: str, cwd: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        str(_SCHEMATHESIS),
        *arguments,
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
