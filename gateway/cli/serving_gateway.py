"""The states that the gateway with this configuration reports on its internal listener."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any, Final

from tornado.httpclient import AsyncHTTPClient, HTTPError
from tornado.netutil import Resolver

from gateway.cli.findings import Finding
from gateway.config import Server
from gateway.http.sockets import Place

#: Seconds for the answer, which waits for the database at most two.
_WITHIN: Final = 5.0
#: A gateway that listens on every address answers on this one.
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104
_WHAT: Final = "the gateway that serves here"


class _AtPath(Resolver):
    """Finds every host at one socket in the file system."""

    def initialize(self, path: str) -> None:
        self._path = path

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        return [(socket.AF_UNIX, self._path)]


async def its_states(server: Server) -> list[Finding]:
    """A finding for each part that fails, in the words of ``/readyz``; or one: all work."""
    place = Place.of_internal(server)
    host = _LOOPBACK.get(place.address, place.address)
    if ":" in host:
        host = f"[{host}]"
    url = f"http://{host}:{place.port}/readyz" if place.path is None else str(place)
    client = AsyncHTTPClient(
        force_instance=True, resolver=None if place.path is None else _AtPath(str(place.path))
    )
    try:
        answer = await client.fetch(
            url if place.path is None else "http://localhost/readyz",
            raise_error=False,
            connect_timeout=_WITHIN,
            request_timeout=_WITHIN,
        )
        found = json.loads(answer.body or b"")
        return list(_findings(found["ready"], found["states"]))
    except OSError as error:
        return [Finding(_WHAT, skipped=f"none answers at {url} ({error.strerror or error})")]
    except HTTPError as error:
        # Not an answer's status: the connection stands, and no answer comes.
        return [
            Finding(
                _WHAT,
                f"{url} takes connections and gives no answer ({error.message})",
                "see what it does (its log, its use of the processor), and start it again",
            )
        ]
    except (ValueError, KeyError, TypeError):
        return [Finding(_WHAT, skipped=f"{url} answers {answer.code}, and not as a gateway does")]


def _findings(ready: bool, states: list[dict[str, Any]]) -> Iterator[Finding]:
    failing = [state for state in states if not state["works"]]
    for state in failing:
        unready = ", so it is not ready" if state["needed"] else ""
        yield Finding(
            f"{_WHAT}: {state['part']}",
            f"{state['reason']} (since {state['since']}{unready})",
            state["follows"],
        )
    if not failing:
        yield Finding(f"{_WHAT}: {'ready' if ready else 'not ready'}, every part works")
