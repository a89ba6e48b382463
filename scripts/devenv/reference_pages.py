"""`scripts/reference`: the pages of docs/reference/ that are made from what the gateway itself
knows: the routes, the table of errors, the configuration's model, the parser of the command line.

A test compares them with what is made now.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from unittest.mock import MagicMock

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from broker.topology import Topology
from devenv import command_lines
from gateway.cli import arguments
from gateway.config import ENVIRONMENT_PREFIX, Config, Server
from gateway.http import app
from gateway.http.broker_questions import BrokerQuestions
from gateway.http.contract import problems
from gateway.http.contract.asyncapi import asyncapi, errors
from gateway.http.contract.documents import openapi
from gateway.http.contract.openapi import Route
from gateway.http.contract.schema_types import Json, Marks, type_of
from gateway.observe import events

PROJECT: Final = Path(__file__).parents[2]
FOLDER: Final = PROJECT / "docs" / "reference"

_MADE: Final = "<!-- Made by scripts/reference; edit what it is made from. -->"
_COMMENT: Final = re.compile(r"# ?(.*)")
_KEY: Final = re.compile(r"#?\s*([a-z0-9_]+) = ")
_TABLE: Final = re.compile(r"#?\s*\[+([a-z_.]+)\]+\s*(?:#.*)?")


def main() -> int:
    """Write all pages; returns the exit code."""
    command_lines.reference().parse_args()
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")
        print(f"docs/reference/{name}")
    return 0


def http() -> str:
    """The page of the HTTP API."""
    public, internal = documents()
    lines = [
        "# The HTTP API",
        "",
        _MADE,
        "",
        f"{public['info']['description']} The gateway serves the same as a page at `/api/docs`, and"
        " as OpenAPI 3.1 at `/api/openapi.json` (to whom, `server.api_documents` says)."
        " Each code stands in [problems](problems.md); `/ws` in [STOMP](stomp.md).",
    ]
    lines += _operations(public)
    lines += ["", "## Shapes", ""]
    for name, schema in public["components"]["schemas"].items():
        lines += _shape(name, schema)
    lines += ["", "# The internal listener", "", internal["info"]["description"]]
    lines += ["It serves its own document at `/openapi.json`."]
    lines += _operations(internal)
    return _page(lines)


def documents() -> tuple[Json, Json]:
    """OpenAPI of the public and of the internal listener, as a fresh gateway has it."""
    # Nobody calls what is not there: only the tables of routes are read.
    nobody: Any = MagicMock()
    public = app.public(nobody, nobody, nobody, server=Server())
    questions = BrokerQuestions(nobody, nobody, metrics=nobody, tasks=nobody)
    internal = app.internal(
        nobody, nobody, nobody, questions, drain=nobody, progress=nobody, access=nobody
    )
    return openapi(routes_of(public)), openapi(routes_of(internal), is_internal=True)


def routes_of(application: Any) -> list[Route]:
    """The routes of an application."""
    return [
        (
            rule.matcher.regex.pattern.removesuffix("$"),
            rule.target if isinstance(rule.target, type) else type(rule.target),
        )
        for rule in application.wildcard_router.rules
    ]


def stomp() -> str:
    """The page of ``/ws``."""
    document = asyncapi(Topology(), version="")
    lines = ["# STOMP at /ws", "", _MADE, "", document["info"]["description"]]
    lines += ["The gateway serves the same as AsyncAPI 3.0 at `/api/asyncapi.json`."]
    lines += ["", "## Destinations", ""]
    lines += _table(
        ("destination", "", "frames"),
        (
            (
                f"`{channel['address']}`" if channel["address"] else "(whatever it is)",
                channel["description"],
                ", ".join(channel["messages"]),
            )
            for channel in document["channels"].values()
        ),
    )
    lines += ["", "## Frames", ""]
    for id, frame in document["components"]["messages"].items():
        headers = frame["headers"]
        body = _type(frame["payload"]) if "payload" in frame else "none"
        lines += [f"### {id}: {frame['name']}", "", f"{frame['summary']} Body: {body}.", ""]
        if headers["properties"]:
            lines += _table(
                ("header", "type", ""),
                _fields(headers["properties"], headers["required"]),
            )
            lines += [""]
    lines += ["## Close codes", ""]
    lines += _table(("code", "what to do"), document["x-close-codes"].items())
    lines += ["", "## Errors", "", "The `message` of an ERROR frame, which the close code follows."]
    lines += ["What each means, [problems](problems.md) says.", ""]
    by_code: dict[int, list[str]] = {}
    for kind in errors():
        by_code.setdefault(kind.close_code, []).append(f"`{kind.code}`")
    lines += _table(
        ("close code", "errors"),
        ((str(code), ", ".join(names)) for code, names in sorted(by_code.items())),
    )
    return _page(lines)


def problem_codes() -> str:
    """The page of the problems."""
    lines = ["# Problems", "", _MADE, ""]
    lines += [
        "What the gateway refuses has a `code`: in a problem document (RFC 9457) by HTTP, in the"
        " header `message` of an ERROR frame by STOMP, which a close code follows.",
        "",
        "429 is for what one user, connection, room or address has too much of, 503 for what this"
        " gateway, RabbitMQ or the database cannot do for anybody now, so that a load balancer may"
        " ask another gateway. Both say in `Retry-After` when to come again.",
        "",
    ]
    lines += _table(
        ("code", "status", "close code", "meaning", "what to do"),
        (
            (f"`{each.code}`", str(each.status), str(each.close_code), each.meaning, each.advice)
            for each in problems.kinds()
        ),
    )
    return _page(lines)


def configuration() -> str:
    """The page of the configuration."""
    comments = comments_of((PROJECT / "conf" / "gateway.toml").read_text(encoding="utf-8"))
    lines = ["# The configuration", "", _MADE, ""]
    lines += [
        "Each key of the TOML file, its type and default; to be edited they stand in"
        " [`conf/gateway.toml`](../../conf/gateway.toml). `gateway init` writes it with fresh"
        " secrets, `gateway check-config` shows what is in force. Durations are seconds, sizes are"
        " bytes.",
        "",
        f"A variable overrides a key: `{ENVIRONMENT_PREFIX}SERVER__PORT=9090` is `server.port`;"
        " lists are JSON. Unknown keys are refused by name.",
    ]
    shown: dict[type[BaseModel], str] = {}
    for table, model in _tables(Config):
        lines += ["", f"## {f'[{table}]' if table else 'Above all tables'}", ""]
        if model in shown:
            lines += [f"Several of them, each with the keys of `[{shown[model]}]`."]
            continue
        shown[model] = table
        lines += _table(
            ("key", "type", "default", ""),
            (
                (f"`{name}`", _annotation(field), _default(field), comments.get((table, name), ""))
                for name, field in model.model_fields.items()
                if _model_of(field) is None
            ),
        )
    return _page(lines)


def command_line() -> str:
    """The page of the command line."""
    lines = ["# The command line", "", _MADE, ""]
    lines += ["`gateway --config FILE COMMAND`; `gateway COMMAND --help` says the same."]
    lines += ["Exit codes: 0 it worked, 1 it failed, 2 the command or configuration is wrong."]
    for parser in _parsers(arguments.command_parser()):
        lines += ["", f"## {parser.prog}", "", *_sentences(parser.description), ""]
        rows = [
            (f"`{_names(action)}`", _sentence(action.help))
            for action in parser._actions  # noqa: SLF001 - argparse shows them nowhere else
            if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)  # noqa: SLF001
        ]
        if rows:
            lines += _table(("argument", ""), rows)
    return _page(lines)


def event_kinds() -> str:
    """The page of the events."""
    lines = ["# Events", "", _MADE, ""]
    lines += [
        "What happened lately, with its reason: on the dashboard, counted for Prometheus"
        " ([metrics](metrics.md)), and in the log. Of each kind the last"
        f" {events.KEPT} are kept.",
        "",
    ]
    said = dict(re.findall(r"``(\w+)``: ([^.]+)\.", _flat(events.Kind.__doc__)))
    lines += _table(
        ("kind", "meaning"), ((f"`{kind.value}`", f"{said[kind.value]}.") for kind in events.Kind)
    )
    lines += ["", "## Fields", "", _sentence(events.Event.__doc__)]
    lines += ["", "## Codes", ""]
    lines += ["`close` and `refusal` have the codes of [problems](problems.md)."]
    return _page(lines)


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "http.md": http,
    "stomp.md": stomp,
    "problems.md": problem_codes,
    "configuration.md": configuration,
    "command-line.md": command_line,
    "events.md": event_kinds,
}


def comments_of(text: str) -> dict[tuple[str, str], str]:
    """The comment of each key of the example, by its table and name: what stands above it, and
    above those keys that follow it without one of their own."""
    found: dict[tuple[str, str], str] = {}
    table, block, ended = "", list[str](), False
    for line in text.splitlines():
        if named := _TABLE.fullmatch(line):
            # What stands above a table is of its keys, until there is something else.
            table, ended = named[1], False
        elif key := _KEY.match(line):
            found.setdefault((table, key[1]), " ".join(block))
            ended = True
        elif comment := _COMMENT.fullmatch(line):
            if ended:
                block, ended = [], False
            block.append(comment[1].strip())
        elif not line:
            block, ended = [], False
    return found


def _operations(document: Json) -> Iterator[str]:
    for tag in document["tags"]:
        yield from ("", f"## {tag['name']}", "", tag["description"], "")
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"] and method not in ("options", "head"):
                    yield from _operation(method.upper(), path, operation, document)


def _operation(method: str, path: str, operation: Json, document: Json) -> Iterator[str]:
    yield from (
        f"### {method} {path}",
        "",
        f"{operation['summary']}. {operation['description']}",
        "",
    )
    rows = [
        (f"{each['name']}", each["in"], _type(each["schema"]), each.get("description", ""))
        for each in operation.get("parameters", ())
        if each["name"] != "Interact-User"
    ]
    if body := operation.get("requestBody"):
        rows.append(("the body", "", _type(body["content"]["application/json"]["schema"]), ""))
    if rows:
        yield from (*_table(("takes", "in", "type", ""), rows), "")
    answers, codes = [], list[str]()
    for status, answer in operation["responses"].items():
        if "$ref" in answer:
            refused = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
            [content] = refused["content"].values()
            codes += content["schema"]["properties"]["code"]["enum"]
            continue
        shapes = [
            _type(of["schema"]) if media_type == "application/json" else f"`{media_type}`"
            for media_type, of in answer.get("content", {}).items()
        ]
        answers.append((status, ", ".join(shapes), answer["description"]))
    yield from _table(("answers", "body", ""), answers)
    own = [code for code in codes if code not in _OF_ALL]
    if own:
        yield from ("", f"Problems of its own: {', '.join(f'`{code}`' for code in own)}.")
    yield ""


#: Problems that every call may have: problems.md says what they mean.
_OF_ALL: Final = frozenset(
    {"invalid_request", "unknown_path", "internal_error", "head_too_large", "head_too_slow"}
    | {"too_large", "body_too_slow", "too_many_connects", "too_many_connections"}
    | {"origin_refused", "host_refused", "draining", "not_authenticated", "token_expired"}
    | {"token_invalid", "session_ended", "user_changed", "kept_out", "too_many_guesses"}
    | {"too_many_logins", "logins_wait", "identity_unavailable", "store_unavailable"}
    | {"unavailable", "no_capacity", "rate_limited"}
)


def _shape(name: str, schema: Json) -> Iterator[str]:
    yield from (f"### {name}", "", schema.get("description", ""), "")
    if "properties" in schema:
        yield from _table(
            ("field", "type", ""), _fields(schema["properties"], schema.get("required", ()))
        )
        yield ""


def _fields(fields: Json, required: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    for name, of in fields.items():
        optional = "" if name in required else "?"
        yield f"`{name}`{optional}", _type(of), of.get("description", "")


def _type(schema: Json) -> str:
    return type_of(schema, _MARKDOWN)


_MARKDOWN: Final = Marks(
    shape=lambda name: f"[{name}](#{name.lower()})",
    value=lambda value: f"`{value}`",
    plain=lambda kind, schema: str(schema.get("format") or kind),
    either=" or ",
)


def _tables(model: type[BaseModel], name: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The tables of the configuration, with the names that they have in the file."""
    yield name, model
    for key, field in model.model_fields.items():
        if (inner := _model_of(field)) is not None:
            yield from _tables(inner, f"{name}.{key}".strip("."))


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a table, or of each in a list of them; None: it is a plain key."""
    for kind in _kinds(field.annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _kinds(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _kinds(inner)


def _annotation(field: FieldInfo) -> str:
    words = {"Literal": "", "SecretStr": "secret", "str": "text", "NoneType": ""}
    text = str(field.annotation)
    if "Literal[" in text:
        options = re.findall(r"'([^']+)'", text)
        return " or ".join(f"`{each}`" for each in options)
    names = re.findall(r"\b(str|int|float|bool|SecretStr|Path)\b", text)
    kind = words.get(names[0], names[0].lower()) if names else "any"
    return f"list of {kind}" if re.search(r"\b(tuple|list|frozenset|set)\[", text) else kind


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "—"
    if value is None:
        return "none"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | list | frozenset):
        return f"`{[str(each) for each in value]}`"
    return f"`{value}`"


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:  # noqa: SLF001 - argparse shows them nowhere else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for inner in dict.fromkeys(action.choices.values()):
                yield from _parsers(inner)


def _names(action: argparse.Action) -> str:
    value = action.metavar or action.dest.upper()
    if not action.option_strings:
        return str(value)
    name = ", ".join(action.option_strings)
    return name if action.nargs == 0 else f"{name} {value}"


def _sentence(text: str | None) -> str:
    plain = _flat(text).replace("%%", "%").replace("``", "`")
    return re.sub(r" ?\(?:mod:`[\w.]+`\)?", "", plain)


def _sentences(text: str | None) -> list[str]:
    return [_sentence(text)] if text else []


def _flat(text: str | None) -> str:
    return " ".join((text or "").split())


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = list(heads)
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        cells = [_flat(cell).replace("|", "\\|") for cell in row]
        yield f"| {' | '.join(cells)} |"


def _page(lines: Iterable[str]) -> str:
    text = "\n".join(line.rstrip() for line in lines)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
