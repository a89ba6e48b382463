"""OpenAPI 3.1 of a listener, made from its routes and from what each handler says of its methods.

https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import TypeAdapter
from tornado.routing import Router
from tornado.web import RequestHandler

from gateway.auth.credentials import USER_HEADER
from gateway.auth.session_cookie import SessionCookie
from gateway.errors import ERRORS
from gateway.http.api import ApiHandler
from gateway.http.contract import problems
from gateway.http.contract.operation import JSON, Answer, Operation, Who, operation_of
from gateway.http.contract.shapes import Problem
from gateway.http.problem import MEDIA_TYPE as PROBLEM

#: A route: the pattern of its path, and its handler; or what answers without one, whose
#: ``operations`` say what, by method.
Route = tuple[str, type[RequestHandler] | type[Router]]
Json = dict[str, Any]

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_GROUP: Final = re.compile(r"\((?:\?P<(\w+)>)?([^()]*(?:\([^()]*\))?[^()]*)\)")
_CHOICE: Final = re.compile(r"[a-z]+(?:\|[a-z]+)+")
_SCHEMAS: Final = "#/components/schemas/{model}"
_TEXT: Final[Json] = {"type": "string"}
#: What parts of paths are, by the names that the handlers give them.
_PARTS: Final[dict[str, Json]] = {
    "room": {
        "description": "The room's number.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
    },
    "user": {"description": "The user's name, percent-encoded.", "schema": _TEXT},
    "id": {"description": "The session's id, as the list has it.", "schema": _TEXT},
    "message": {
        "description": "The message's id, that of its request, or its place, percent-encoded.",
        "schema": _TEXT,
    },
    "kind": {"description": "The table.", "schema": _TEXT},
    "question": {"description": "What RabbitMQ asks about.", "schema": _TEXT},
    "path": {"description": "The file's path.", "schema": _TEXT},
    "code": {"description": "A class code, which the page's script reads.", "schema": _TEXT},
}
_REQUEST_HEADERS: Final[dict[str, Json]] = {
    "Idempotency-Key": {
        "description": "The message's id, a UUID, in place of that in the body.",
        "schema": {"type": "string", "format": "uuid"},
    },
    "Last-Event-ID": {
        "description": "The last seq that the client has; it counts more than `after`.",
        "schema": {"type": "string", "pattern": "^(0|[1-9][0-9]{0,17})$"},
    },
    USER_HEADER: {
        "description": "The user, percent-encoded, that the page believes to be: if the cookie is"
        " another's meanwhile, the request is refused (`user_changed`).",
        "schema": {"type": "string"},
    },
}
_HEADERS: Final[dict[str, Json]] = {
    "X-Request-Id": {"description": "Names the request in the gateway's log.", "schema": _TEXT},
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "Location": {"description": "The path of what was made.", "schema": _TEXT},
    "Set-Cookie": {
        "description": "The session; HttpOnly, SameSite.",
        "schema": _TEXT,
    },
    "WWW-Authenticate": {"description": "`Bearer`.", "schema": _TEXT},
    "Allow": {"description": "The methods of the resource.", "schema": _TEXT},
    "Content-Disposition": {"description": "The file's name.", "schema": _TEXT},
    "ETag": {"description": "The version of the file.", "schema": _TEXT},
    "Access-Control-Allow-Methods": {"description": "The same as Allow.", "schema": _TEXT},
    "Access-Control-Allow-Headers": {
        "description": "Headers that such a page may send.",
        "schema": _TEXT,
    },
    "Access-Control-Max-Age": {
        "description": "Seconds for which this holds.",
        "schema": {"type": "integer"},
    },
}
_STATUS: Final = {
    400: "The request makes no sense.",
    401: "Nobody is logged in, or the login has ended.",
    403: "Known, but not allowed.",
    404: "There is no such thing.",
    405: "The resource has no such method.",
    408: "The client is too slow.",
    409: "What there is now does not allow it.",
    410: "It is gone.",
    413: "The body is too large.",
    422: "The id was used for another message.",
    426: "Only a WebSocket upgrade is served.",
    429: "Too much in a short time.",
    431: "The head is too large.",
    500: "The gateway failed.",
    503: "Not now; nothing was stored.",
}
#: Of those who log in: either is enough.
_SECURITY: Final[list[Json]] = [{"cookie": []}, {"bearer": []}]


class Document:
    """An OpenAPI document in the making."""

    def __init__(self, *, is_internal: bool) -> None:
        self._is_internal = is_internal
        self._schemas: Json = {}
        self._definitions: dict[Any, Json] = {}
        self._refusals: dict[str, Json] = {}
        self._named: dict[tuple[str, ...], str] = {}
        self._paths: dict[str, Json] = {}
        self._ids: set[str] = set()

    def add(self, routes: Iterable[Route]) -> None:
        """Add the resources of the routes: the methods of which their handlers say something."""
        for pattern, handler in routes:
            methods = _described(handler)
            if not methods:
                continue
            path, parts = _template(pattern, _names_of(handler, methods))
            entry = self._paths.setdefault(path, {})
            for method, found in methods.items():
                entry[method.lower()] = self._operation(found, method, handler, path, parts)

    def finish(self, info: Json, *, base: str = "") -> Json:
        """The whole document."""
        self._schema(Problem)
        codes = self._schemas["Problem"]["properties"]["code"]
        codes["enum"] = sorted(row.code for row in ERRORS.values())
        return {
            "openapi": "3.1.0",
            "info": info,
            "servers": [{"url": base or "/"}],
            "tags": tags_of(self._paths),
            "paths": self._paths,
            "components": {
                "schemas": dict(sorted(self._schemas.items())),
                "responses": dict(sorted(self._refusals.items())),
                "headers": _HEADERS,
                "securitySchemes": _schemes(SessionCookie(base), is_internal=self._is_internal),
            },
        }

    def _operation(
        self,
        described: Operation,
        method: str,
        handler: type[RequestHandler] | type[Router],
        path: str,
        parts: list[Json],
    ) -> Json:
        is_api = issubclass(handler, ApiHandler)
        parameters = [*parts, *self._query(described), *_asked(described, is_api=is_api)]
        about = f"For {described.who.value}."
        told: Json = {
            "operationId": self._id(method, handler, path),
            "tags": [_tag(path)],
            "summary": described.summary,
            "description": f"{about} {described.more}".strip(),
        }
        if parameters:
            told["parameters"] = parameters
        if described.body is not None:
            content = {"application/json": {"schema": self._schema(described.body)}}
            told["requestBody"] = {"required": True, "content": content}
        told["responses"] = {
            str(status): self._answer(answer) for status, answer in described.answers.items()
        }
        refusals = problems.refusals(
            described, method, is_api=is_api, is_internal=self._is_internal
        )
        for status, codes in refusals.items():
            told["responses"].setdefault(str(status), self._refusal(status, codes))
        told["responses"] = dict(sorted(told["responses"].items()))
        told["security"] = _security(described.who)
        return told

    def _answer(self, answer: Answer) -> Json:
        told: Json = {
            "description": answer.what,
            "headers": _refs(("X-Request-Id", *answer.headers)),
        }
        if self._is_internal and answer.inside is not None:
            told["content"] = {JSON: {"schema": self._schema(answer.inside)}}
        elif answer.content is not None:
            schema = _TEXT if answer.shape is None else self._schema(answer.shape)
            told["content"] = {answer.content: {"schema": schema}}
        return told

    def _refusal(self, status: int, codes: list[str]) -> Json:
        """A reference to the answer with one of these codes, which several methods have."""
        if (name := self._named.get(tuple(codes))) is None:
            alike = sum(each.startswith(f"Refused{status}") for each in self._refusals)
            name = self._named[tuple(codes)] = f"Refused{status}.{alike + 1}"
            self._refusals[name] = self._refused(status, codes)
        return {"$ref": f"#/components/responses/{name}"}

    def _refused(self, status: int, codes: list[str]) -> Json:
        headers = ["X-Request-Id"]
        headers += {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}.get(
            status, []
        )
        only = {"properties": {"code": {"enum": codes}, "status": {"const": status}}}
        schema = self._schema(Problem) | only
        return {
            "description": f"{_STATUS[status]} `code`: {', '.join(codes)}.",
            "headers": _refs(headers),
            "content": {PROBLEM: {"schema": schema}},
        }

    def _query(self, described: Operation) -> Iterator[Json]:
        """Each field of the query as a parameter."""
        if described.query is None:
            return
        schema = self._definition(described.query)
        for name, of in schema.get("properties", {}).items():
            given = {key: value for key, value in of.items() if key not in ("title", "description")}
            told = {"name": name, "in": "query", "required": name in schema.get("required", ())}
            if "description" in of:
                told["description"] = of["description"]
            if given.get("type") == "array":
                told["explode"] = False
            yield told | {"schema": _without_null(given)}

    def _schema(self, shape: Any) -> Json:
        """A reference to the shape's schema, which is added to the document; or the schema, if it
        has no name."""
        made = self._definition(shape)
        name = made.get("title")
        if name is None or made.get("type") != "object":
            return made
        self._keep(name, made)
        return {"$ref": _SCHEMAS.format(model=name)}

    def _definition(self, shape: Any) -> Json:
        if (known := self._definitions.get(shape)) is not None:
            return known
        is_body = isinstance(shape, type) and hasattr(shape, "model_fields")
        made = TypeAdapter(shape).json_schema(
            ref_template=_SCHEMAS, mode="validation" if is_body else "serialization"
        )
        named = made.pop("$defs", {})
        words = {_SCHEMAS.format(model=name): of for name, of in named.items() if "enum" in of}
        for name, of in named.items():
            if "enum" not in of:
                self._keep(name, _spelled_out(of, words))
        told = self._definitions[shape] = _plain(_spelled_out(made, words))
        return told

    def _keep(self, name: str, schema: Json) -> None:
        schema = _plain(schema)
        if self._schemas.setdefault(name, schema) != schema:
            raise ValueError(f"two shapes are called {name}")

    def _id(self, method: str, handler: type[RequestHandler] | type[Router], path: str) -> str:
        id = f"{method.lower()}{handler.__name__.removesuffix('Handler')}"
        if id in self._ids:
            id += re.sub(r"\W+", "_", path)
        self._ids.add(id)
        return id


def _template(pattern: str, names: list[str]) -> tuple[str, list[Json]]:
    """The path with the names of its parts, and these as parameters."""
    left, parts = iter(names), []

    def named(group: re.Match[str]) -> str:
        if not group[2]:
            # An empty one: Tornado's handler of files wants a path, and the page has none.
            return ""
        name = group[1] or next(left)
        part = _PARTS[name]
        if _CHOICE.fullmatch(group[2]):
            part = part | {"schema": {"enum": group[2].split("|")}}
        parts.append({"name": name, "in": "path", "required": True, **part})
        return f"{{{name}}}"

    path = _GROUP.sub(named, pattern.removesuffix("/?()").removesuffix("/?"))
    return path.replace("\\", "") or "/", parts


def _described(handler: type[RequestHandler] | type[Router]) -> Mapping[str, Operation]:
    """The methods of which something is said; of a resource, not only what its base says of all."""
    if issubclass(handler, Router):
        told: Mapping[str, Operation] = getattr(handler, "operations", {})
        return told
    found = {each: operation_of(getattr(handler, each.lower(), None)) for each in _METHODS}
    methods = {method: said for method, said in found.items() if said is not None}
    return {} if methods.keys() <= {"OPTIONS"} else methods


def _names_of(handler: type[RequestHandler] | type[Router], methods: Iterable[str]) -> list[str]:
    """The parts of the path, as the handler's methods call them; that for preflights takes any."""
    if issubclass(handler, Router):
        return []
    method = next(each for each in methods if each != "OPTIONS")
    return list(inspect.signature(getattr(handler, method.lower())).parameters)[1:]


def _tag(path: str) -> str:
    for tag, (_, begins) in TAGS.items():
        if path.startswith(begins):
            return tag
    return "pages"


#: Tag -> its description, and how the paths begin that have it. The first that fits counts.
TAGS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "session": ("Logging in, and the sessions of a user.", ("/api/session",)),
    "join": ("Coming into a room by its class code.", ("/api/join",)),
    "rooms": ("Rooms, their members, messages and state.", ("/api/rooms", "/api/roster")),
    "admin": ("The dashboard, accounts, and orders to all gateways.", ("/api/admin",)),
    "documents": ("This contract.", ("/api/openapi", "/api/asyncapi", "/api/docs", "/openapi")),
    "operation": (
        "Probes, metrics, draining.",
        ("/healthz", "/readyz", "/metrics", "/drain", "/broker"),
    ),
    "pages": ("What browsers show.", ("/",)),
}


def tags_of(paths: Iterable[str]) -> list[Json]:
    """The tags that paths have, with their descriptions."""
    used = {_tag(path) for path in paths}
    return [{"name": tag, "description": text} for tag, (text, _) in TAGS.items() if tag in used]


def _asked(described: Operation, *, is_api: bool) -> list[Json]:
    names = [*described.headers]
    if is_api and _security(described.who):
        names.append(USER_HEADER)
    return [{"name": name, "in": "header", **_REQUEST_HEADERS[name]} for name in names]


def _refs(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _security(who: Who) -> list[Json]:
    match who:
        case Who.ANYBODY | Who.RABBITMQ:
            return []
        case Who.OPERATOR:
            return [{"drain": []}]
        case _:
            return _SECURITY


def _schemes(cookie: SessionCookie, *, is_internal: bool) -> Json:
    if is_internal:
        told = "The token of `server.drain_token`."
        return {"drain": {"type": "http", "scheme": "bearer", "description": told}}
    return {
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie.plain,
            "description": f"From POST /api/session or /api/join; over TLS `{cookie.secure}`.",
        },
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token of a configured issuer, for the configured audience.",
        },
    }


def _plain(schema: Json) -> Json:
    """The schema without the titles that pydantic makes of the fields' names, and with its
    description in lines that are not broken."""
    told = dict(schema)
    if "description" in told:
        told["description"] = " ".join(told["description"].split()).replace("``", "`")
    if "properties" in told:
        told["properties"] = {
            name: {key: value for key, value in _plain(of).items() if key != "title"}
            for name, of in told["properties"].items()
        }
    return told


def _spelled_out(schema: Any, words: Mapping[str, Json]) -> Any:
    """The schema with the words of enumerations instead of their names, of which there are some
    twice."""
    if isinstance(schema, list):
        return [_spelled_out(each, words) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if (of := words.get(schema.get("$ref", ""))) is not None:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return {"type": of["type"], "enum": of["enum"], **rest}
    return {key: _spelled_out(value, words) for key, value in schema.items()}


def _without_null(schema: Json) -> Json:
    """The schema of a value in a query, which is there or not, and never null."""
    told = {key: value for key, value in schema.items() if not (key == "default" and value is None)}
    kinds = [each for each in told.get("anyOf", ()) if each != {"type": "null"}]
    if len(kinds) == 1:
        del told["anyOf"]
        return {**kinds[0], **told}
    return told
