"""``/api/openapi.json``, ``/api/asyncapi.json`` and ``/api/docs``: the contract, and a page of
it."""

from __future__ import annotations

from typing import ClassVar, Final

from gateway.errors import Refused
from gateway.http.api import ApiHandler
from gateway.http.base import BodilessHandler
from gateway.http.contract import page
from gateway.http.contract.documents import ASYNCAPI, OPENAPI, PAGE, Documents
from gateway.http.contract.operation import OF_USERS, Answer, Operation, Who
from gateway.http.services import HandlerServices

_JSON: Final = Answer("The document.", dict[str, object], headers=("ETag",))
_SAME: Final = Answer("It is the same as before.")
#: Where only admins may read it.
_REFUSES: Final = (*OF_USERS, Refused)


class DocumentHandler(ApiHandler):
    """The base of these handlers. ``for_admins``: nobody else may read it."""

    name: ClassVar[str]

    def initialize(  # type: ignore[override]  # it needs more
        self, services: HandlerServices, documents: Documents, for_admins: bool
    ) -> None:
        super().initialize(services)
        self._documents = documents
        self._for_admins = for_admins
        self._tag: str | None = None

    async def give(self) -> None:
        if self._for_admins:
            await self.services.admin.check(await self.identity(), sees=False)
        file = await self._documents.file(self.name)
        coding, content, self._tag = file.for_client(self.request.headers.get("Accept-Encoding"))
        self.set_header("Content-Type", file.media_type)
        self.set_header("Cache-Control", "no-cache")
        self.add_header("Vary", "Accept-Encoding")
        if coding is not None:
            self.set_header("Content-Encoding", coding)
        self.finish(content)

    def compute_etag(self) -> str | None:  # type: ignore[override]  # this one is kept
        """The one of what is given: Tornado compares it, and answers 304."""
        return self._tag


class OpenApiHandler(DocumentHandler):
    """OpenAPI of the HTTP API."""

    name = OPENAPI

    @Operation(
        "Read the contract of the HTTP API (OpenAPI)",
        who=Who.ANYBODY,
        answers={200: _JSON, 304: _SAME},
        refuses=_REFUSES,
    )
    async def get(self) -> None:
        await self.give()


class AsyncApiHandler(DocumentHandler):
    """AsyncAPI of the WebSocket."""

    name = ASYNCAPI

    @Operation(
        "Read the contract of `/ws` (AsyncAPI)",
        who=Who.ANYBODY,
        answers={200: _JSON, 304: _SAME},
        refuses=_REFUSES,
    )
    async def get(self) -> None:
        await self.give()


class DocumentsPageHandler(DocumentHandler):
    """Both as a page, which needs no script."""

    name = PAGE
    content_security_policy: ClassVar[str] = (
        f"default-src 'none'; style-src {page.STYLE_SOURCE}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )

    @Operation(
        "Read both as a page",
        who=Who.ANYBODY,
        answers={
            200: Answer("The page.", media_type=page.MEDIA_TYPE, headers=("ETag",)),
            304: _SAME,
        },
        refuses=_REFUSES,
    )
    async def get(self) -> None:
        await self.give()


class InternalDocumentHandler(BodilessHandler):
    """OpenAPI of the internal listener."""

    def initialize(self, documents: Documents) -> None:
        self._documents = documents

    @Operation("Read this contract (OpenAPI)", who=Who.ANYBODY, answers={200: _JSON})
    async def get(self) -> None:
        file = await self._documents.file(OPENAPI)
        self.set_header("Content-Type", file.media_type)
        self.set_header("Cache-Control", "no-cache")
        self.finish(file.whole)
