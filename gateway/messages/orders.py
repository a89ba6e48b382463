"""Orders of hosts that the gateway itself carries out: entries of the kept state with reserved
keys. Their bodies are checked at intake; :mod:`gateway.store.order` carries them out in the
transaction that stores them."""

from __future__ import annotations

from typing import Any

from broker.topology import Audience
from gateway.domain.message import Draft
from gateway.domain.order import HIDES, MUTED, SETTINGS, SLOWEST, hidden_seq, muted_user
from gateway.errors import BadBody


def check(draft: Draft) -> None:
    """Return if the draft of a host has no reserved key, or a body that fits it. Raises
    :class:`BadBody`."""
    key, body = draft.keep, draft.body
    if key is None:
        return
    is_public = draft.stream.audience is Audience.PUBLIC
    if key == SETTINGS and is_public and draft.of is None:
        _check_settings(body)
    elif key.partition(":")[0] == HIDES and is_public and draft.of is None:
        seq = hidden_seq(key)
        if seq is None:
            raise BadBody("keep: hidden:<seq> names the seq of a public message")
        if body is not None and body != {"seq": seq}:
            raise BadBody(f'body: must be {{"seq":{seq}}}, or null to show it again')
    elif draft.stream.audience is Audience.PRIVATE and (
        key == MUTED or key.startswith(f"{MUTED}:")
    ):
        user = muted_user(key, draft.of)
        if user is None:
            raise BadBody("keep: muted:<user> names the user; or give muted, with of")
        if body is not None and body != {"user": user}:
            raise BadBody(f'body: must be {{"user": "{user}"}}, or null to unmute')


def _check_settings(body: Any) -> None:
    if body is None:
        return
    if not isinstance(body, dict) or not body.keys() <= {"chat", "slow", "approve"}:
        raise BadBody('body: must be an object with "chat", "slow" and "approve", or null')
    if not isinstance(body.get("chat", True), bool):
        raise BadBody("body: chat must be true or false")
    slow = body.get("slow", 0)
    if isinstance(slow, bool) or not isinstance(slow, int) or not 0 <= slow <= SLOWEST:
        raise BadBody(f"body: slow must be a number of seconds from 0 to {SLOWEST}")
    if not isinstance(body.get("approve", False), bool):
        raise BadBody("body: approve must be true or false")
