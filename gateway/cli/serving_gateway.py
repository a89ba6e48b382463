"""The states that the gateway with this configuration reports on its internal listener."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from tornado.httpclient import AsyncHTTPClient, HTTPError

from gateway.cli.findings import Finding
from gateway.config import Server

#: Seconds for the answer, which waits for the database at most two.
_WITHIN: Final = 5.0
#: A gateway that listens on every address answers on this one.
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104
_WHAT: Final = "the gateway that serves here"


async def its_states(server: Server) -> list[Finding]:
    """A finding for each part that fails, in the words of ``/readyz``; or one: all work."""
    host = _LOOPBACK.get(server.internal_address, server.internal_address)
    if ":" in host:
        host = f"[{host}]"
    url = f"http://{host}:{server.internal_port}/readyz"
    try:
        answer = await AsyncHTTPClient(force_instance=True).fetch(
            url, raise_error=False, connect_timeout=_WITHIN, request_timeout=_WITHIN
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
