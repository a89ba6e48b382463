"""The contract as one page, made of its documents: HTML that needs no script. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from gateway.http.contract.problems import kinds
from gateway.http.contract.schema_types import Json, Marks, type_of
from gateway.store.values import MAX_NUMBER

MEDIA_TYPE: Final = "text/html; charset=utf-8"

STYLE: Final = """
:root { color-scheme: light dark; --ink: #191f29; --soft: #55606f; --line: #d6dbe2; --paper: #fff;
  --block: #f3f5f8; --link: #0b57b0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7ebf1; --soft: #a5b0c0; --line: #39424f; --paper: #14181f; --block: #1e242d;
    --link: #8ab8f5; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 64rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, "Apple SD Gothic Neo", "Noto Sans KR", sans-serif;
  overflow-wrap: anywhere; }
a { color: var(--link); }
h1 { margin: 0; font-size: 1.6rem; }
h2 { margin: 2.5rem 0 0.5rem; font-size: 1.3rem; border-bottom: 2px solid var(--line); }
h3 { margin: 1rem 0 0.25rem; font-size: 1rem; }
p { margin: 0.5rem 0; }
code { font: 0.9em ui-monospace, "DejaVu Sans Mono", monospace; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; margin: 0.75rem 0; padding: 0;
  list-style: none; }
nav a { display: inline-block; padding: 0.4rem 0; }
details { margin: 0.5rem 0; padding: 0 0.75rem; border: 1px solid var(--line);
  border-radius: 0.4rem; background: var(--block); }
details[open] { padding-bottom: 0.75rem; }
summary { padding: 0.6rem 0; cursor: pointer; }
summary b { display: inline-block; min-width: 4.2rem; }
.soft { color: var(--soft); }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 0.3rem 0.6rem 0.3rem 0; border-bottom: 1px solid var(--line); text-align: start;
  vertical-align: top; }
td { overflow-wrap: break-word; }
@media (max-width: 40rem) {
  /* A cell below the other: side by side the columns would be too narrow for a word. */
  thead { position: absolute; clip-path: inset(50%); }
  tr { display: block; padding: 0.4rem 0; border-bottom: 1px solid var(--line); }
  td { display: block; padding: 0; border: 0; overflow-wrap: anywhere; }
}
"""

#: The source in a content security policy that allows this style and no other (CSP 3, section
#: 2.3.1).
STYLE_SOURCE: Final = (
    f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
_CODE: Final = re.compile(r"`([^`]+)`")


def page(http: Json, stomp: Json) -> str:
    """The page of an OpenAPI document and an AsyncAPI document of :mod:`gateway.http.contract`."""
    return "".join(_page(http, stomp))


def _page(http: Json, stomp: Json) -> Iterator[str]:
    title = "interact gateway: its contract"
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><header><h1>{title}</h1>"
        f'<p>{_text(http["info"]["description"])}</p><p class="soft">Version'
        f' {escape(http["info"]["version"])}. As documents: <a href="openapi.json">OpenAPI</a>,'
        ' <a href="asyncapi.json">AsyncAPI</a>.</p></header>\n'
    )
    tags = http["tags"]
    ends = (("ws", "/ws"), ("shapes", "shapes"), ("problems", "problems"))
    links = [*((tag["name"], tag["name"]) for tag in tags), *ends]
    items = "".join(f'<li><a href="#{id}">{escape(name)}</a></li>' for id, name in links)
    yield f"<nav><ul>{items}</ul></nav><main>\n"
    for tag in tags:
        name, about = tag["name"], _text(tag["description"])
        yield f'<section><h2 id="{name}">{name}</h2><p>{about}</p>'
        for path, methods in http["paths"].items():
            for method, operation in methods.items():
                # What browsers ask before a call is said once, in its own document.
                if name in operation["tags"] and method != "options":
                    yield _operation(method, path, _resolved(operation, http))
        yield "</section>\n"
    yield from _stomp(stomp)
    yield '<section><h2 id="shapes">Shapes</h2>'
    for name, schema in {**stomp["components"]["schemas"], **http["components"]["schemas"]}.items():
        yield f'<h3 id="shape-{name}">{name}</h3>{_shape(schema)}'
    yield '</section>\n<section><h2 id="problems">Problems</h2>'
    yield _table(
        ("code", "status", "close code", "meaning", "what to do"),
        (
            (
                f'<code id="{kind.code}">{kind.code}</code>',
                str(kind.status),
                str(kind.close_code),
                _text(kind.meaning),
                _text(kind.advice),
            )
            for kind in kinds()
        ),
    )
    yield "</section></main></body></html>\n"


def _resolved(operation: Json, http: Json) -> Json:
    """The operation with the answers that it shares with others."""
    shared = http["components"]["responses"]
    answers = {
        status: shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        for status, answer in operation["responses"].items()
    }
    return {**operation, "responses": answers}


def _operation(method: str, path: str, operation: Json) -> str:
    parts = [f"<p>{_text(operation['description'])}</p>"]
    if parameters := operation.get("parameters"):
        rows = (
            (
                f"<code>{each['name']}</code>{'' if each['required'] else '?'}"
                if "required" in each
                else f"<code>{each['name']}</code>?",
                each["in"],
                _type(each["schema"]),
                _text(each.get("description", "")),
            )
            for each in parameters
        )
        parts.append(f"<h3>Parameters</h3>{_table(('name', 'in', 'type', 'meaning'), rows)}")
    if body := operation.get("requestBody"):
        parts.append(f"<h3>Body</h3><p>{_content(body['content'])}</p>")
    answers = (
        (status, _content(answer.get("content", {})), _answer(answer))
        for status, answer in operation["responses"].items()
    )
    parts.append(f"<h3>Answers</h3>{_table(('status', 'body', 'meaning'), answers)}")
    return (
        f'<details id="{operation["operationId"]}"><summary><b>{method.upper()}</b>'
        f" <code>{escape(path)}</code> {_text(operation['summary'])}</summary>"
        f"{''.join(parts)}</details>\n"
    )


def _answer(answer: Json) -> str:
    if "application/problem+json" in answer.get("content", {}):
        before, _, codes = answer["description"].partition("`code`: ")
        links = ", ".join(
            f'<a href="#{code}"><code>{code}</code></a>'
            for code in codes.removesuffix(".").split(", ")
        )
        return f"{_text(before)}{links}"
    own = [name for name in answer["headers"] if name != "X-Request-Id"]
    headers = f" Headers: {', '.join(f'`{name}`' for name in own)}." if own else ""
    return _text(answer["description"] + headers)


def _content(content: Json) -> str:
    return "; ".join(
        _type(of["schema"]) if media_type.endswith("json") else f"<code>{escape(media_type)}</code>"
        for media_type, of in content.items()
    )


def _stomp(stomp: Json) -> Iterator[str]:
    yield f'<section><h2 id="ws">/ws</h2><p>{_text(stomp["info"]["description"])}</p>'
    rows = (
        (
            f"<code>{escape(channel['address'] or '(any)')}</code>",
            _text(channel["description"]),
            ", ".join(f'<a href="#frame-{each}">{each}</a>' for each in channel["messages"]),
        )
        for channel in stomp["channels"].values()
    )
    yield f"<h3>Destinations</h3>{_table(('destination', 'meaning', 'frames'), rows)}"
    for id, frame in stomp["components"]["messages"].items():
        headers = frame["headers"]
        needed = headers["required"]
        rows = (
            (
                f"<code>{name}</code>{'' if name in needed else '?'}",
                _type(of),
                _text(of.get("description", "")),
            )
            for name, of in headers["properties"].items()
        )
        payload = _type(frame["payload"]) if "payload" in frame else "none"
        yield (
            f'<details id="frame-{id}"><summary><b>{escape(frame["name"])}</b>'
            f" {_text(frame['summary'])}</summary>{_table(('header', 'type', 'meaning'), rows)}"
            f"<p>Body: {payload}</p></details>\n"
        )
    codes = ((code, _text(text)) for code, text in stomp["x-close-codes"].items())
    yield f"<h3>Close codes</h3>{_table(('code', 'what to do'), codes)}</section>\n"


def _shape(schema: Json) -> str:
    told = f"<p>{_text(schema['description'])}</p>" if "description" in schema else ""
    if "properties" not in schema:
        return f"{told}<p>{_type(schema)}</p>"
    needed = schema.get("required", ())
    rows = (
        (
            f"<code>{name}</code>{'' if name in needed else '?'}",
            _type(of),
            _text(of.get("description", "")),
        )
        for name, of in schema["properties"].items()
    )
    return told + _table(("field", "type", "meaning"), rows)


def _type(schema: Json) -> str:
    return type_of(schema, _HTML)


def _plain(kind: str, schema: Json) -> str:
    names = (
        "format",
        "minimum",
        "exclusiveMinimum",
        "maximum",
        "minLength",
        "maxLength",
        "default",
    )
    bounds = ", ".join(
        f"{name} {schema[name]}" for name in names if schema.get(name) not in (None, "", MAX_NUMBER)
    )
    return f'{kind} <span class="soft">({escape(bounds)})</span>' if bounds else kind


_HTML: Final = Marks(
    shape=lambda name: f'<a href="#shape-{name}">{name}</a>',
    value=lambda value: f"<code>{escape(value)}</code>",
    plain=_plain,
    either=" | ",
)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _text(text: str) -> str:
    """Text as HTML; what stands between backticks is code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))
