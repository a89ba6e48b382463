"""The documents of a listener as files, made when somebody asks for the first of them."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from broker.topology import Topology
from gateway.config import Server
from gateway.http.built_pages import BuiltFile
from gateway.http.contract import page
from gateway.http.contract.asyncapi import asyncapi
from gateway.http.contract.openapi import Document, Json, Route

OPENAPI: Final = "openapi.json"
ASYNCAPI: Final = "asyncapi.json"
PAGE: Final = "docs"

_PUBLIC: Final = (
    "Bodies are JSON; unknown fields, repeated names and NaN are refused. Times are RFC 3339, UTC."
    " What is refused is answered by problem details (RFC 9457), whose `code` stays the same for"
    " ever; what is no HTTP gets 400 without a body. Fields may be added to answers at any time:"
    " pass over those that you do not know."
)
_INTERNAL: Final = "For operators, Prometheus and RabbitMQ: never reachable from outside."


def openapi(routes: Sequence[Route], *, is_internal: bool = False, base: str = "") -> Json:
    """OpenAPI of a listener's routes, whose paths begin with ``base``."""
    made = Document(is_internal=is_internal)
    made.add(routes)
    listener = "the internal listener" if is_internal else "the HTTP API"
    info = {
        "title": f"interact gateway: {listener}",
        "version": released(),
        "description": _INTERNAL if is_internal else _PUBLIC,
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }
    return made.finish(info, base=base)


def released() -> str:
    """The version of the gateway."""
    try:
        return version("interact-gateway")
    except PackageNotFoundError:
        return "0"


class Documents:
    """The documents. ``topology`` None: of the internal listener, which has no WebSocket."""

    def __init__(
        self, routes: Sequence[Route], topology: Topology | None, *, server: Server | None = None
    ) -> None:
        self._routes = routes
        self._topology = topology
        self._base = "" if server is None else server.path
        self._stomp_paths = () if server is None else server.stomp_paths
        self._made: Mapping[str, BuiltFile] | None = None
        self._making = asyncio.Lock()

    async def file(self, name: str) -> BuiltFile:
        """One of them. They take a third of a second to make, for which only their reader waits."""
        async with self._making:
            if self._made is None:
                self._made = await asyncio.to_thread(self._make)
            return self._made[name]

    def _make(self) -> Mapping[str, BuiltFile]:
        is_internal = self._topology is None
        http = openapi(self._routes, is_internal=is_internal, base=self._base)
        made = {OPENAPI: _json(http)}
        if self._topology is not None:
            stomp = asyncapi(
                self._topology, version=released(), base=self._base, paths=self._stomp_paths
            )
            made[ASYNCAPI] = _json(stomp)
            made[PAGE] = _file(page.MEDIA_TYPE, page.page(http, stomp))
        return made


def _json(document: Any) -> BuiltFile:
    return _file("application/json", json.dumps(document, ensure_ascii=False, indent=1))


def _file(media_type: str, text: str) -> BuiltFile:
    whole = text.encode()
    return BuiltFile(media_type, whole, {"gzip": gzip.compress(whole, mtime=0)})
