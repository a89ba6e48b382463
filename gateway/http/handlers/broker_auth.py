"""``/broker/auth/{user,vhost,resource,topic}``: the questions of RabbitMQ's HTTP back end.

https://github.com/rabbitmq/rabbitmq-server/tree/main/deps/rabbitmq_auth_backend_http
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable

from gateway.auth.broker_auth import DENY, BrokerAuth
from gateway.http.base import BaseHandler
from gateway.http.internal_access import InternalAccess


class BrokerAuthHandler(BaseHandler):
    """The answers by GET and POST alike, in plain text and always with status 200.

    For any other status, RabbitMQ passes the body on to the client.
    """

    log_level = logging.DEBUG

    def initialize(self, broker_auth: BrokerAuth, access: InternalAccess) -> None:
        self._broker_auth = broker_auth
        self._access = access

    def prepare(self) -> Awaitable[None] | None:
        waiting = super().prepare()
        self._access.check_network(self.request)
        return waiting

    async def get(self, question: str) -> None:
        self._answer(await self._broker_auth.answer(question, self.request.arguments))

    post = get

    def write_error(self, status_code: int, **kwargs: object) -> None:
        self._answer(DENY)

    def _answer(self, text: str) -> None:
        self.set_status(200)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(text)
