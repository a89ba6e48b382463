"""``/broker/auth/{user,vhost,resource,topic}``: the questions of RabbitMQ's HTTP back end.

https://github.com/rabbitmq/rabbitmq-server/tree/main/deps/rabbitmq_auth_backend_http. RabbitMQ asks
five questions and more for each login, while a client waits. So they pass by Tornado's handlers,
which take longer to be made, and to write their headers, than all that is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from tornado.escape import parse_qs_bytes
from tornado.http1connection import HTTP1Connection
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError
from tornado.routing import Router

from broker.timing.tasks import Tasks
from gateway.auth.broker_auth import DENY, BrokerAuth
from gateway.errors import GatewayError
from gateway.http.contract.operation import Answer, Operation, Who
from gateway.http.internal_access import InternalAccess
from gateway.http.streams import Guarded
from gateway.metered import Metered
from gateway.observe.metrics import Metrics

logger = logging.getLogger(__name__)
_access_log = logging.getLogger("gateway.access")

_METHODS: Final = frozenset({"GET", "POST"})
_FORM: Final = "application/x-www-form-urlencoded"
_OK: Final = ResponseStartLine("HTTP/1.1", 200, "OK")


_ASKED: Final = Operation(
    "Answer RabbitMQ's question, from the query or a form",
    who=Who.RABBITMQ,
    answers={
        200: Answer(
            "`allow`, with the user's tags, or `deny`; also for what makes no sense.",
            media_type="text/plain; charset=utf-8",
        )
    },
)


class BrokerQuestions(Router):
    """The answers by GET and POST alike, in plain text and always with status 200.

    For any other status, RabbitMQ passes the body on to the client.
    """

    #: For the contract: this is no handler.
    operations: ClassVar[Mapping[str, Operation]] = dict.fromkeys(("GET", "POST"), _ASKED)

    def __init__(
        self, broker_auth: BrokerAuth, access: InternalAccess, *, metrics: Metrics, tasks: Tasks
    ) -> None:
        self.broker_auth = broker_auth
        self.access = access
        self.metrics = metrics
        self.tasks = tasks

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate:
        return _Question(self, request)


class _Question(HTTPMessageDelegate):
    """One question, from its head to its answer."""

    def __init__(self, owner: BrokerQuestions, request: HTTPServerRequest) -> None:
        self._owner = owner
        self._request = request
        self._body: list[bytes] = []

    def data_received(self, chunk: bytes) -> None:
        self._body.append(chunk)

    def finish(self) -> None:
        self._owner.tasks.spawn(self._metered(), "broker: an answer to RabbitMQ")

    def on_connection_close(self) -> None:
        """Nobody is there to be answered; the write finds that out."""

    async def _metered(self) -> None:
        stream = getattr(self._request.connection, "stream", None)
        if not isinstance(stream, Guarded):
            await self._answer()
            return
        try:
            await Metered(self._answer(), stream.has_taken, watch=stream.watch)
        finally:
            stream.has_ended()

    async def _answer(self) -> None:
        try:
            text = await self._decided()
        except GatewayError:
            text = DENY
        except Exception:
            logger.exception("denied a question of RabbitMQ, because answering it has failed")
            text = DENY
        self._write(text.encode())

    async def _decided(self) -> str:
        request, owner = self._request, self._owner
        owner.access.check_host(request)
        owner.access.check_network(request)
        if request.method not in _METHODS:
            return DENY
        question = request.path.rpartition("/")[2]
        return await owner.broker_auth.answer(question, self._arguments())

    def _arguments(self) -> dict[str, list[bytes]]:
        request = self._request
        arguments = dict(request.query_arguments)
        if request.headers.get("Content-Type", "").startswith(_FORM):
            for name, values in parse_qs_bytes(
                b"".join(self._body), keep_blank_values=True
            ).items():
                arguments.setdefault(name, []).extend(values)
        return arguments

    def _write(self, body: bytes) -> None:
        request, connection = self._request, self._request.connection
        assert isinstance(connection, HTTP1Connection)  # noqa: S101 - there is no other
        headers = HTTPHeaders()
        headers["Content-Type"] = "text/plain; charset=utf-8"
        headers["Content-Length"] = str(len(body))
        # RFC 9110, section 9.3.2: the head alone.
        given = b"" if request.method == "HEAD" else body
        try:
            connection.write_headers(_OK, headers, given)
            connection.finish()
        except StreamClosedError:
            return
        seconds = request.request_time()
        self._owner.metrics.answered(request.method or "", "brokerauth", 200, seconds=seconds)
        _access_log.debug(
            "%s %s 200 %.1f ms from %s",
            request.method,
            request.path,
            1000 * seconds,
            request.remote_ip,
        )
