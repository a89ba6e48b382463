"""What is said of the handlers' methods is what their code does; and every word of the contract has
a meaning."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tornado.web import RequestHandler

import gateway.http.handlers
from broker.protocol.websocket import CloseCode
from broker.topology import Topology
from gateway.errors import ERRORS
from gateway.http.api import ApiHandler
from gateway.http.base import BaseHandler
from gateway.http.contract import asyncapi, problems
from gateway.http.contract.operation import Operation, operation_of
from gateway.http.handlers.pages import BuiltHandler

_CLIENT: Final = Path(__file__).parents[3] / "gateway" / "live" / "client"
_METHODS: Final = ("get", "head", "post", "put", "patch", "delete", "options")


def _handlers() -> Iterator[type[BaseHandler]]:
    for module in pkgutil.iter_modules(gateway.http.handlers.__path__, "gateway.http.handlers."):
        for _, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(found, BaseHandler) and found.__module__ == module.name:
                yield found


def _methods(handler: type[BaseHandler]) -> Iterator[tuple[str, Any]]:
    for name in _METHODS:
        method = getattr(handler, name)
        if method is not getattr(RequestHandler, name) and method is not ApiHandler.options:
            yield name, method


_SERVED = [(handler, name, method) for handler in _handlers() for name, method in _methods(handler)]


def _said(method: Any) -> Operation:
    found = operation_of(method)
    assert found is not None
    return found


def _read(method: Any, by: str) -> set[str]:
    """The models by which a method reads its body, or its query."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    return {
        ast.unparse(call.args[0])
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == f"self.{by}"
    }


def test_there_are_methods() -> None:
    assert len(_SERVED) > 60


@pytest.mark.parametrize(("handler", "name", "method"), _SERVED)
def test_every_method_is_described(handler: type[BaseHandler], name: str, method: Any) -> None:
    # Files of built pages are told once, as those of the folder.
    assert operation_of(method) is not None or handler is BuiltHandler, name


@pytest.mark.parametrize(("handler", "name", "method"), _SERVED)
@pytest.mark.parametrize("by", ["body", "query"])
def test_the_models_that_are_told_are_those_that_are_read(
    handler: type[BaseHandler], name: str, method: Any, by: str
) -> None:
    if handler is BuiltHandler:
        return
    told = getattr(_said(method), by)
    # Both exports read the query in their base.
    of_base = {"ExportQuery"} if by == "query" and hasattr(handler, "style") else set()
    assert (set() if told is None else {told.__name__}) == _read(method, by) | of_base, name


@pytest.mark.parametrize(("handler", "name", "method"), _SERVED)
def test_the_answers_that_are_told_are_no_problems(
    handler: type[BaseHandler], name: str, method: Any
) -> None:
    if handler is BuiltHandler:
        return
    for status, answer in _said(method).answers.items():
        of_probes = status == 503 and answer.content in (None, "text/plain")
        assert 100 <= status < 400 or of_probes or status == 416, name


def test_every_problem_says_what_it_means_and_what_to_do() -> None:
    kinds = list(problems.kinds())
    assert {kind.code for kind in kinds} == {row.code for row in ERRORS.values()}
    for kind in kinds:
        assert kind.meaning.endswith("."), kind
        assert kind.advice.endswith("."), kind
        assert "``" not in kind.meaning


def test_every_close_code_says_what_to_do() -> None:
    assert {row.close_code for row in ERRORS.values()} | {CloseCode.NORMAL} == set(
        asyncapi.CLOSE_CODES
    )


def _headers_read(module: Path) -> set[str]:
    """The headers of a client's frame that a module reads, by their literal names."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        match node:
            case ast.Call(
                func=ast.Attribute(
                    attr="get", value=(ast.Name("frame") | ast.Attribute(attr="frame"))
                ),
                args=[ast.Constant(str(name)), *_],
            ):
                found.add(name)
            case ast.Call(func=ast.Name("_required"), args=[_, ast.Constant(str(name))]):
                found.add(name)
    return found


def test_every_header_that_the_gateway_reads_of_a_frame_is_told() -> None:
    read = set().union(
        *(_headers_read(_CLIENT / f"{name}.py") for name in ("requests", "judge", "executor"))
    )
    assert {"destination", "resume-after", "receipt", "keep"} <= read
    # Whose queue answers come to is RabbitMQ's business.
    assert read <= asyncapi.READ | {"reply-to"}
    # And the reverse: whatever is told is read, or RabbitMQ's business with the private queue.
    assert asyncapi.READ - read == set()


def test_destinations_have_the_gateway_s_prefix() -> None:
    channels = asyncapi.asyncapi(Topology("school"), version="1")["channels"]
    assert channels["public"]["address"] == "/topic/school.public.{room}"
    assert channels["queue"]["address"] == "/queue/school.private.{room}"
