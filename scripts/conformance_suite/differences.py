"""What the gateway answers differently than RabbitMQ, on purpose, and why. Pure."""

from collections.abc import Iterator, Sequence
from difflib import unified_diff
from typing import Final

_ENDS: Final = ("closed with", "gone without", "nothing more")

_OWN_TEXT: Final = "the gateway's own text of the ERROR"
_TOLD: Final = "RabbitMQ closes without a word; the gateway says why"

#: By conversation, on every version of RabbitMQ.
_ALWAYS: Final = {
    "a version that nobody speaks": _OWN_TEXT,
    "a SEND to an exchange that is not there": _TOLD,
    "an acknowledgement of nothing": _TOLD,
    "an unknown command": _OWN_TEXT,
    "SEND without a destination": _OWN_TEXT,
    "SUBSCRIBE without a destination": _OWN_TEXT,
    "UNSUBSCRIBE of nothing": _OWN_TEXT,
    "an expiration that is no number": _TOLD,
    "somebody else's user-id": _TOLD,
    "CONNECT twice": "RabbitMQ crashes (1011); the gateway says what is wrong",
}


#: Before 4.0, and since.
_BEFORE_4: Final = {"an exchange that is not there": _TOLD}
_SINCE_4: Final = {
    "a wrong passcode": "the gateway's text ends its line, as that of RabbitMQ 3.10 does",
    "no more after UNSUBSCRIBE": "RabbitMQ gives no RECEIPT for a message that nobody takes",
}


def explained(version: str) -> dict[str, str]:
    """The explanations for a version of RabbitMQ, by conversation."""
    return _ALWAYS | (_BEFORE_4 if version.startswith("3.") else _SINCE_4)


def differences(direct: Sequence[str], through: Sequence[str]) -> list[str]:
    """The lines that only one of the two heard, in the form of a diff.

    Two things are the same everywhere, and not compared: after an ERROR, RabbitMQ leaves the socket
    open or closes it with any code, the gateway closes it with one that says what to do; and the
    RECEIPT of a DISCONNECT, which RabbitMQ overtakes with its Close.
    """
    one, other = list(_compared(direct)), list(_compared(through))
    return list(unified_diff(one, other, "RabbitMQ", "the gateway", lineterm="", n=0))[2:]


def _compared(lines: Sequence[str]) -> Iterator[str]:
    failed: set[str] = set()
    for line in lines:
        client, _, heard = line.partition(": ")
        if heard.startswith("RECEIPT receipt-id:'bye'"):
            continue
        if client in failed and heard.startswith(_ENDS):
            continue
        if heard.startswith("ERROR "):
            failed.add(client)
        yield line
