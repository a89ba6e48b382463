"""What the gateway answers differently than RabbitMQ, on purpose, and why. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Final

from conformance_suite.libraries import LIBRARIES
from conformance_suite.outcome import Outcome

_ENDS: Final = ("closed", "gone without", "nothing more")

_OWN_TEXT: Final = "the gateway's own text of the ERROR"
_NO_RELAY: Final = "the gateway's own text of the ERROR, unless a relay was dialled early enough"
_NO_AMQP: Final = "AMQP cannot write it: RabbitMQ would break off every feed"
_TOLD: Final = "RabbitMQ closes without a word; the gateway says why"

#: By conversation, on every version of RabbitMQ.
_ALWAYS: Final = {
    "a version that nobody speaks": _OWN_TEXT,
    "a SEND to an exchange that is not there": _TOLD,
    "an acknowledgement of nothing": _TOLD,
    "an unknown command": _OWN_TEXT,
    "SEND without a destination": _OWN_TEXT,
    "SUBSCRIBE without a destination": _OWN_TEXT,
    "UNSUBSCRIBE of nothing": _NO_RELAY,
    "an expiration that is no number": _TOLD,
    "somebody else's user-id": _TOLD,
    "a correlation-id of 300 bytes": _NO_AMQP,
    "a header's name of 300 bytes": _NO_AMQP,
    "a routing key of 300 bytes": _NO_AMQP,
    "a queue's name of 300 bytes": _NO_AMQP,
    "a SEND to a queue's name of 300 bytes": _NO_AMQP,
    "a queue named with 300 bytes by the client": _NO_AMQP,
    "CONNECT twice": "RabbitMQ crashes (1011); the gateway says what is wrong",
}


#: Before 4.0, and since.
_BEFORE_4: Final = {
    "an exchange that is not there": _TOLD,
    "an exchange's name of 300 bytes": _TOLD,
}
_LINE_END: Final = "the gateway's text ends its line, as that of RabbitMQ 3.10 does"
_SINCE_4: Final = {
    "a wrong passcode": _LINE_END,
    "an exchange that is not there": _OWN_TEXT,
    "an exchange's name of 300 bytes": _OWN_TEXT,
    "no more after UNSUBSCRIBE": "RabbitMQ gives no RECEIPT for a message that nobody takes",
}


_BINARY: Final = (
    "RabbitMQ sends binary frames here (web_stomp.ws_frame), which this library cannot read; "
    "the gateway sends text"
)
#: By client library and application, on every version of RabbitMQ.
_OF_LIBRARIES: Final = {
    ("stompjs", "Korean and emoji"): _BINARY,
    ("stompjs", "Korean in a header"): _BINARY,
    ("stompjs", "a body of 100 kB in Korean"): _BINARY,
    ("webstomp-client", "a body of 1 MB"): _BINARY,
    # They escape nothing.
    **{
        (library, f"a {what} in a header"): _TOLD
        for library in ("stompjs", "webstomp-client")
        for what in ("backslash", "line end")
    },
}
_OF_LIBRARIES_BEFORE_4: Final = {
    (library, "an exchange that is not there"): _TOLD for library in LIBRARIES
}
_OF_LIBRARIES_SINCE_4: Final = {
    (library, name): _SINCE_4[name]
    for library in LIBRARIES
    for name in ("a wrong passcode", "an exchange that is not there")
}


@dataclass(frozen=True)
class Ends:
    """How a connection through the gateway may end under a fault, after an ERROR, and why."""

    codes: Sequence[str]
    why: str


#: By fault. Libraries tell the code, but for stomp.py.
ENDS: Final = {
    "the session is ended": Ends(
        ("closed with 1012", "closed with 4003", "closed"),
        "RabbitMQ closes without a word, as when it refuses a SEND; the gateway says which",
    ),
    "the node hangs for four seconds": Ends(
        ("closed with 1012", "closed"),
        "the gateway leaves the node, and says that nobody knows what it has taken",
    ),
    "the node is killed": Ends(
        ("closed with 1012", "closed"),
        "RabbitMQ's socket is gone; the gateway's says what is not known, if anything is",
    ),
}


def explained(version: str) -> dict[str, str]:
    """The explanations for a version of RabbitMQ, by conversation."""
    return _ALWAYS | (_BEFORE_4 if version.startswith("3.") else _SINCE_4)


def explained_of_libraries(version: str) -> Mapping[tuple[str, str], str]:
    """The explanations for a version of RabbitMQ, by client library and application."""
    before_4 = version.startswith("3.")
    return _OF_LIBRARIES | (_OF_LIBRARIES_BEFORE_4 if before_4 else _OF_LIBRARIES_SINCE_4)


def is_as_explained(different: Sequence[str], why: str | None) -> bool:
    """Whether nothing is different without an explanation, and nothing explained in vain."""
    return bool(different) == (why is not None) or (not different and why == _NO_RELAY)


def wrong_with(fault: str, direct: Outcome, through: Outcome) -> str:
    """What was wrong with an application under a fault, or nothing."""
    for side, outcome in (("RabbitMQ", direct), ("the gateway", through)):
        if outcome.failure:
            return f"{side}: {outcome.failure}"
        if outcome.lost:
            return f"{side}: {', '.join(outcome.lost)} had receipts, and did not come"
    if not _is_told(through.ends, ENDS[fault].codes):
        return f"the gateway: {', '.join(through.ends)}"
    return ""


def _is_told(ends: Sequence[str], codes: Sequence[str]) -> bool:
    """Whether each end of a connection is an ERROR and then a Close with one of the codes."""
    errors, closes = ends[::2], ends[1::2]
    return (
        len(errors) == len(closes)
        and all(error.startswith("ERROR ") for error in errors)
        and all(end in codes for end in closes)
    )


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
