"""STOMP frames as an application writes and reads them. Pure.

A codec of its own: the gateway's would not see its own mistakes. https://stomp.github.io/stomp-specification-1.2.html
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", ":": "\\c"}
_UNESCAPES: Final = {escaped: plain for plain, escaped in _ESCAPES.items()}


@dataclass(frozen=True)
class Received:
    """A frame that has come: its headers in their order, repeated ones too."""

    command: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The first of this name; empty if there is none."""
        return next((value for key, value in self.headers if key == name), "")


def frame(command: str, body: bytes = b"", /, **headers: str) -> bytes:
    """A frame's bytes, with content-length if there is a body; in headers' names `_` is `-`."""
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    if body:
        pairs.append(("content-length", str(len(body))))
    return written(command, pairs, body)


def written(command: str, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    """The bytes of a frame with exactly these headers."""
    plain = command in {"CONNECT", "STOMP"}
    lines = [f"{name}:{value if plain else _escaped(value)}" for name, value in headers]
    return "\n".join([command, *lines, "", ""]).encode() + body + b"\0"


def received(data: bytes) -> Received | None:
    """The frame in one WebSocket message; None: a heart-beat."""
    data = data.lstrip(b"\r\n")
    if not data:
        return None
    head, _, rest = data.partition(b"\n\n")
    command, *lines = head.decode("utf-8", "surrogateescape").split("\n")
    pairs = [line.partition(":") for line in lines]
    plain = command == "CONNECTED"
    headers = tuple((key, value if plain else _unescaped(value)) for key, _, value in pairs)
    found = Received(command, headers, rest)
    length = found.header("content-length")
    body = rest[: int(length)] if length else rest.partition(b"\0")[0]
    return Received(command, headers, body)


def _escaped(value: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in value)


def _unescaped(value: str) -> str:
    found, rest = "", value
    while rest:
        size = 2 if rest[:2] in _UNESCAPES else 1
        found += _UNESCAPES.get(rest[:2], rest[0])
        rest = rest[size:]
    return found
