"""The contract that each answer in these tests is held to: what the gateway's own document says of
the method, and no field, header or code more."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs
from tornado.routing import PathMatches
from tornado.web import Application

from gateway.http.contract.documents import openapi


class Contract:
    """An OpenAPI document, to which answers are held."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = copy.deepcopy(dict(document))
        for schema in self.document["components"]["schemas"].values():
            _close(schema)
        # Fixed parts of paths count more than those that may be anything.
        ordered = sorted(self.document["paths"], key=lambda path: (path.count("{"), -len(path)))
        self._paths = [(_pattern(path), path) for path in ordered]
        self._validators: dict[str, Any] = {}

    def check(
        self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        """Fail unless the document has this answer."""
        told = self._operation(method, path)
        if told is None:
            # RabbitMQ's questions are denied with 200, whatever they are.
            refused = status >= 400 or body == b"deny"
            assert refused, f"{method} {path}: {status}, of which the contract says nothing"
            return
        given = headers.get("Content-Type", "")
        where = f"{method} {path}: {status} {given}"
        if status == 400 and not given and not body:
            # Tornado's own answer to what is no HTTP.
            return
        if status == 405 or (status == 404 and b'"unknown_path"' in body):
            return
        answer = self._answer(told, status)
        assert answer is not None, f"{where} is not in the contract: {body[:300]!r}"
        content = answer.get("content", {})
        if not content:
            assert not body, f"{where} has a body"
            return
        if "*/*" in content or method == "HEAD":
            return
        assert _media_type(given) in map(_media_type, content), where
        if "json" in given:
            self._fits(content[_media_type(given)], body, where)

    def _operation(self, method: str, path: str) -> Any:
        plain = path.partition("?")[0]
        for pattern, template in self._paths:
            if pattern.fullmatch(plain):
                return self.document["paths"][template].get(method.lower())
        return None

    def _answer(self, told: Any, status: int) -> Any:
        answer = told["responses"].get(str(status))
        if answer is not None and "$ref" in answer:
            name = answer["$ref"].rpartition("/")[2]
            answer = self.document["components"]["responses"][name]
        return answer

    def _fits(self, content: Any, body: bytes, where: str) -> None:
        schema = content["schema"] | {"components": self.document["components"]}
        key = str(content["schema"])
        if key not in self._validators:
            self._validators[key] = jsonschema_rs.validator_for(
                schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"}
            )
        # A lone surrogate is JSON, which this validator cannot read.
        value = re.sub(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}", b"?", body)
        error = next(iter(self._validators[key].iter_errors(json.loads(value))), None)
        assert error is None, f"{where}: {error}"


def contract_of(application: Application) -> Contract:
    """The contract of an application's routes."""
    routes = tuple(
        (
            rule.matcher.regex.pattern.removesuffix("$"),
            rule.target if isinstance(rule.target, type) else type(rule.target),
        )
        for rule in application.wildcard_router.rules
        if isinstance(rule.matcher, PathMatches)
    )
    internal = application.settings.get("internal_access") is not None
    return _contract(routes, internal)


@cache
def _contract(routes: tuple[tuple[str, Any], ...], is_internal: bool) -> Contract:
    return Contract(openapi(routes, is_internal=is_internal))


def _close(schema: Any) -> None:
    """Let no object have a field that the schema does not name."""
    if isinstance(schema, list):
        for each in schema:
            _close(each)
    elif isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            _close(value)


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+\})", path)
    text = "".join(
        (".*" if part == "{path}" else "[^/]*") if part.startswith("{") else re.escape(part)
        for part in parts
    )
    return re.compile(text + "/?")


def _media_type(text: str) -> str:
    return text.partition(";")[0].strip().lower()
