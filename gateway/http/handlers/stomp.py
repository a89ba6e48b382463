"""``/ws``: the decisions before a connection becomes a WebSocket."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from tornado.iostream import StreamClosedError

from gateway.auth.credentials import Credentials
from gateway.auth.origins import Origins
from gateway.budget.rank import rank_of
from gateway.domain.identity import Identity
from gateway.drain import Drain
from gateway.errors import (
    Draining,
    OriginRefused,
    TooManyOfUser,
    TooManyUnknown,
    TooManyUpgrades,
    UpgradeNeeded,
)
from gateway.http import handshake
from gateway.http.base import BodilessHandler
from gateway.http.caller import caller
from gateway.http.contract.operation import OF_USERS, Answer, Operation, Who
from gateway.http.session_cookie import device_of
from gateway.live.client.connection import Connection
from gateway.live.client.services import ConnectionServices
from gateway.observe import logs


class StompHandler(BodilessHandler):
    """The opening handshake. A refusal is a problem document with its status; no broker node hears
    of it."""

    def initialize(
        self,
        live: ConnectionServices,
        credentials: Credentials,
        drain: Drain,
        origins: Origins,
        trusted_proxies: Container[str],
    ) -> None:
        self._live = live
        self._upgrades = live.admission.upgrades
        self._credentials = credentials
        self._drain = drain
        self._origins = origins
        self._trusted_proxies = trusted_proxies

    _refuses = False

    def set_default_headers(self) -> None:
        # A valid handshake is answered by a head of its own.
        if not self._refuses:
            return
        super().set_default_headers()
        # RFC 9110, section 15.5.22, and RFC 6455, section 4.4: the headers that a 426 needs.
        self.set_header("Upgrade", "websocket")
        self.set_header("Connection", "Upgrade")
        self.set_header("Sec-WebSocket-Version", handshake.VERSION)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        self._refuses = True
        super().send_error(status_code, **kwargs)

    async def prepare(self) -> None:
        self._take_id()
        self.refuse_a_large_body()

    @Operation(
        "Open a WebSocket, which speaks STOMP",
        who=Who.ANYBODY,
        answers={101: Answer("The WebSocket is open; what it speaks, `/api/asyncapi.json` says.")},
        refuses=(
            *OF_USERS,
            UpgradeNeeded,
            OriginRefused,
            Draining,
            TooManyUpgrades,
            TooManyOfUser,
            TooManyUnknown,
        ),
        more="Credentials are those of every call. Without any, CONNECT must have a token.",
    )
    async def get(self) -> None:
        self._origins.check(self.request.headers.get("Origin"))
        head = handshake.accept(self.request)
        address = caller(self.request, trusted_proxies=self._trusted_proxies).address
        known = self._credentials.verified_lately(self.request.headers)
        # Others at the address must not use up what somebody needs who is known.
        self._upgrades.take(None if known else address, known)
        identity = await self._identity(address)
        self._drain.check()
        user = identity.user if identity else None
        self._live.admission.registry.check_capacity(
            address=address, user=user, rank=rank_of(identity)
        )
        stream = self.hand_over()
        try:
            # A write that fails closes the stream, and the connection is notified.
            stream.write(head)
            connection = Connection(
                stream,
                self._live,
                id=logs.connection.get(),
                address=address,
                host=self.request.host,
                identity=identity,
                browser=device_of(self.request),
            )
        except StreamClosedError:
            return
        self._live.admission.registry.serve(connection, address=address, user=user)

    async def _identity(self, address: str) -> Identity | None:
        """The user, if the handshake has credentials. Raises :class:`NotAuthenticated`,
        :class:`HookUnavailable`."""
        if not self._credentials.given(self.request):
            return None
        return await self._credentials.identify(self.request, address=address)
