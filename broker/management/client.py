"""RabbitMQ's management API, as an operator's commands use it: a few calls with a login that is
kept nowhere.

https://www.rabbitmq.com/docs/management#http-api
"""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlsplit

from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.simple_httpclient import SimpleAsyncHTTPClient

#: The ports of RabbitMQ's default configuration.
PORTS: Final = {"http": 15672, "https": 15671}
#: Tags of users who may set policies; the first one includes the second.
ADMINISTRATOR: Final = "administrator"
#: Seconds for a change: RabbitMQ tells each queue of a new policy before it answers. With a node
#: down, 3.10 was seen to take more than ten.
CHANGE: Final = 60.0
#: Bytes of an answer at most.
_LARGEST: Final = 16 * 1024 * 1024


class ManagementFailed(Exception):
    """An error of a call that was not carried out.

    The text names the node and the reason, and no secret.
    """


class ManagementRefused(ManagementFailed):
    """The node answered, and refuses the login or what was asked; other nodes would, too."""


@dataclass(frozen=True, slots=True)
class Administrator:
    """The login of an administrator of RabbitMQ's own database."""

    name: str
    password: str = field(repr=False)


def address_of(amqp: str) -> str:
    """The usual address of the management API of the node with this AMQP address."""
    parts = urlsplit(amqp)
    scheme = "https" if parts.scheme == "amqps" else "http"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{scheme}://{host}:{PORTS[scheme]}"


def is_address(text: str) -> bool:
    """Whether this is an address that :class:`ManagementApi` takes: ``http[s]://host[:port]``,
    without a login in it."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in PORTS
        and bool(parts.hostname)
        and parts.username is None
        and port != 0
        and not parts.query
        and not parts.fragment
    )


class ManagementApi:
    """The management API of one node at ``address``; ``timeout`` is seconds for each question.

    Every method raises :class:`ManagementFailed`.
    """

    def __init__(
        self,
        address: str,
        administrator: Administrator,
        *,
        timeout: float,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.address = address.rstrip("/")
        self._administrator = administrator
        self._timeout = timeout
        self._ssl_context = ssl_context

    async def get(self, *path: str) -> Any:
        """The JSON at this path below ``/api``; each part is quoted."""
        return json.loads((await self._call("GET", path, timeout=self._timeout)).body)

    async def put(self, *path: str, body: object) -> None:
        """Create or replace what is at this path."""
        await self._call("PUT", path, json.dumps(body), timeout=CHANGE)

    async def _call(
        self,
        method: str,
        path: tuple[str, ...],
        body: str | None = None,
        *,
        timeout: float,  # noqa: ASYNC109 - it ends in a typed error
    ) -> Any:
        client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=_LARGEST)
        request = HTTPRequest(
            "/".join([f"{self.address}/api", *(quote(part, safe="") for part in path)]),
            method=method,
            body=body,
            headers={"Content-Type": "application/json"},
            auth_username=self._administrator.name,
            auth_password=self._administrator.password,
            connect_timeout=self._timeout,
            request_timeout=timeout,
            # A login is for this address only.
            follow_redirects=False,
            ssl_options=self._ssl_context if self.address.startswith("https:") else None,
        )
        try:
            response = await client.fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:
            raise ManagementFailed(f"{self.address}: {_reason(error)}") from error
        finally:
            client.close()
        if 200 <= response.code < 300:
            return response
        raise self._refusal(response)

    def _refusal(self, response: HTTPResponse) -> ManagementFailed:
        name, said = self._administrator.name, _said(response)
        match response.code:
            case 401 if "management user" in said:
                return ManagementRefused(
                    f"{self.address}: user {name!r} has no tag {ADMINISTRATOR}; run: rabbitmqctl"
                    f" set_user_tags {name} {ADMINISTRATOR}"
                )
            case 401:
                return ManagementRefused(
                    f"{self.address}: user {name!r} is unknown to RabbitMQ, or the password is"
                    f" wrong ({said})"
                )
            case code if 400 <= code < 500:
                return ManagementRefused(f"{self.address}: {code} {said}")
            case code:
                return ManagementFailed(f"{self.address}: {code} {said}")


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, HTTPClientError):
        return error.message
    return str(error)


def _said(response: HTTPResponse) -> str:
    """RabbitMQ's own words about a refusal."""
    try:
        answer = json.loads(response.body)
        return str(answer["reason"])
    except (ValueError, KeyError, TypeError):
        return str(response.reason)
