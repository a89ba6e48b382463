"""The conversations of applications: what one does through its client library, whichever that is.

Written from STOMP 1.2, RabbitMQ's documentation of its STOMP plugin (https://www.rabbitmq.com/docs/stomp)
and those of the libraries. What is heard is written nowhere: RabbitMQ itself says it. Libraries
differ in what they let an application say (two have no receipt for UNSUBSCRIBE, BEGIN and COMMIT),
so that nothing here needs more than all of them have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

#: Stands for a name of this conversation's own.
OWN: Final = "OWN"
TOPIC: Final = f"/topic/{OWN}.a.b"
QUEUE: Final = f"/queue/{OWN}"

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Act:
    """Something that an application does with a client, and the events that it then waits for.

    ``gets`` None: everything until the connection is over. ``beats``: heart-beats to wait for.
    """

    verb: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    gets: int | None = 0
    beats: int = 0
    client: int = 0


@dataclass(frozen=True)
class Application:
    """The acts of one client or more."""

    name: str
    acts: Sequence[Act] = field(repr=False)


def opens(client: int = 0, /, *, heart_beat: int | None = None, **headers: str) -> Act:
    """Connect with this run's login; without ``heart_beat`` (ms) as the library does by itself."""
    given = {"login": "LOGIN", "passcode": "PASSCODE", "host": "/"} | headers
    return Act("open", {"headers": given, "heart_beat": heart_beat}, gets=1, client=client)


def subscribes(destination: str, client: int = 0, /, *, gets: int = 1, **headers: str) -> Act:
    given = {"id": "s", "receipt": "subscribed"} | _named(headers)
    return Act("subscribe", {"destination": destination, "headers": given}, gets, client=client)


def sends(
    destination: str,
    body: str = "hello",
    client: int = 0,
    /,
    *,
    gets: int | None = 0,
    **headers: str,
) -> Act:
    given = {"destination": destination, "headers": _named(headers), "body": body}
    return Act("send", given, gets, client=client)


def acknowledges(index: int, client: int = 0, /, *, gets: int = 0, **headers: str) -> Act:
    return Act("ack", {"index": index, "headers": _named(headers)}, gets, client=client)


def refuses(index: int, client: int = 0, /, *, gets: int = 0, **headers: str) -> Act:
    return Act("nack", {"index": index, "headers": _named(headers)}, gets, client=client)


def transacts(verb: str, *, gets: int = 0) -> Act:
    """``begin``, ``commit`` or ``abort``."""
    return Act(verb, {"transaction": "t"}, gets)


def hears(count: int | None, client: int = 0, /) -> Act:
    return Act(gets=count, client=client)


def leaves(client: int = 0, /) -> Act:
    return Act("leave", gets=None, client=client)


def _named(headers: Headers) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


_INDIVIDUALLY: Final = "client-individual"

APPLICATIONS: Final = (
    # Those that take longest begin first.
    Application(
        "a body of 1 MB",
        [opens(), subscribes(TOPIC), sends(TOPIC, "0123456789" * 100_000, gets=1), leaves()],
    ),
    Application(
        "heart-beats",
        [
            opens(heart_beat=2000),
            subscribes(TOPIC),
            Act(beats=2),
            sends(TOPIC, gets=1),
            leaves(),
        ],
    ),
    # The beginning and the end
    Application("comes and goes", [opens(), leaves()]),
    # Not at the login of all, which the gateway would slow down for a while.
    Application("a wrong passcode", [opens(login=OWN, passcode="wrong"), hears(None)]),
    Application("an unknown virtual host", [opens(host="nowhere"), hears(None)]),
    Application(
        "goes at once after a hundred messages",
        [
            opens(1),
            subscribes(QUEUE, 1),
            opens(),
            *(sends(QUEUE, f"{number}") for number in range(100)),
            leaves(),
            hears(100, 1),
            leaves(1),
        ],
    ),
    # Topics
    Application("a topic", [opens(), subscribes(TOPIC), sends(TOPIC, gets=1), leaves()]),
    Application(
        "a pattern",
        [
            opens(),
            subscribes(f"/topic/{OWN}.*.b"),
            sends(f"/topic/{OWN}.a.other"),
            sends(TOPIC, gets=1),
            leaves(),
        ],
    ),
    Application(
        "an exchange",
        [opens(), subscribes(f"/exchange/amq.topic/{OWN}.#"), sends(TOPIC, gets=1), leaves()],
    ),
    Application(
        "two clients of one topic",
        [
            opens(),
            opens(1),
            subscribes(TOPIC),
            subscribes(TOPIC, 1),
            sends(TOPIC, gets=1),
            hears(1, 1),
            leaves(),
            leaves(1),
        ],
    ),
    Application(
        "no more after UNSUBSCRIBE",
        [
            opens(),
            subscribes(TOPIC),
            subscribes(f"{TOPIC}.other", id="other"),
            Act("unsubscribe", {"id": "s"}),
            sends(TOPIC),
            sends(f"{TOPIC}.other", gets=1),
            leaves(),
        ],
    ),
    # Headers and bodies
    Application(
        "Korean and emoji",
        [
            opens(),
            subscribes(TOPIC),
            sends(TOPIC, "안녕하세요 👩🏽‍🏫 ✓", content_type="text/plain;charset=utf-8", gets=1),
            leaves(),
        ],
    ),
    Application(
        "Korean in a header",
        [opens(), subscribes(TOPIC), sends(TOPIC, x_mine="안녕 👋", gets=1), leaves()],
    ),
    Application(
        "a colon in a header",
        [opens(), subscribes(TOPIC), sends(TOPIC, x_mine="a:b", gets=1), leaves()],
    ),
    Application(
        "a backslash in a header",
        [opens(), subscribes(TOPIC), sends(TOPIC, x_mine="a\\b", gets=1), hears(None)],
    ),
    Application(
        "a line end in a header",
        [opens(), subscribes(TOPIC), sends(TOPIC, x_mine="a\nb", gets=1), hears(None)],
    ),
    Application(
        "headers for RabbitMQ",
        [
            opens(),
            subscribes(TOPIC),
            sends(
                TOPIC,
                priority="3",
                persistent="true",
                correlation_id="c-1",
                reply_to="somewhere",
                expiration="60000",
                gets=1,
            ),
            leaves(),
        ],
    ),
    Application(
        "a body of 100 kB in Korean",
        [opens(), subscribes(TOPIC), sends(TOPIC, "가나다라" * 8_000, gets=1), leaves()],
    ),
    Application("no body", [opens(), subscribes(TOPIC), sends(TOPIC, "", gets=1), leaves()]),
    Application(
        "receipts in order",
        [
            opens(),
            *(sends(QUEUE, receipt=f"r{number}") for number in range(5)),
            hears(5),
            leaves(),
        ],
    ),
    # Queues
    Application(
        "messages that waited",
        [
            opens(),
            *(sends(QUEUE, f"{number}", receipt=f"r{number}", gets=1) for number in range(3)),
            leaves(),
            opens(1),
            subscribes(QUEUE, 1, gets=4),
            leaves(1),
        ],
    ),
    Application(
        "acknowledged one by one",
        [
            opens(),
            subscribes(QUEUE, ack=_INDIVIDUALLY),
            sends(QUEUE, "1", gets=1),
            sends(QUEUE, "2", gets=1),
            acknowledges(1, receipt="b", gets=1),
            acknowledges(0, receipt="a", gets=1),
            leaves(),
            opens(1),
            subscribes(QUEUE, 1),
            sends(QUEUE, "next", 1, gets=1),
            leaves(1),
        ],
    ),
    Application(
        "acknowledged all before",
        [
            opens(),
            subscribes(QUEUE, ack="client"),
            *(sends(QUEUE, f"{number}", gets=1) for number in range(3)),
            acknowledges(1, receipt="a", gets=1),
            leaves(),
            # The last one comes again.
            opens(1),
            subscribes(QUEUE, 1, gets=2),
            leaves(1),
        ],
    ),
    Application(
        "unacknowledged, and delivered to the next",
        [
            opens(),
            subscribes(QUEUE, ack=_INDIVIDUALLY),
            sends(QUEUE, "1", gets=1),
            sends(QUEUE, "2", gets=1),
            Act("drop", gets=None),
            opens(1),
            subscribes(QUEUE, 1, gets=3),
            leaves(1),
        ],
    ),
    Application(
        "refused and delivered again",
        [
            opens(),
            subscribes(QUEUE, ack=_INDIVIDUALLY),
            sends(QUEUE, gets=1),
            refuses(0, gets=1),
            acknowledges(1, receipt="a", gets=1),
            leaves(),
        ],
    ),
    Application(
        "one at a time",
        [
            opens(),
            subscribes(QUEUE, prefetch_count="1", ack=_INDIVIDUALLY),
            *(sends(QUEUE, f"{number}", receipt=f"r{number}") for number in range(3)),
            hears(4),
            acknowledges(0, gets=1),
            acknowledges(1, gets=1),
            acknowledges(2, receipt="a", gets=1),
            leaves(),
        ],
    ),
    Application(
        "a temporary queue for answers",
        [
            opens(),
            opens(1),
            subscribes(QUEUE, 1),
            sends(QUEUE, "a question", reply_to="/temp-queue/mine"),
            hears(1, 1),
            Act("answer", {"index": 0, "body": "the answer"}, client=1),
            hears(1),
            leaves(),
            leaves(1),
        ],
    ),
    # Transactions
    Application(
        "a transaction",
        [
            opens(),
            subscribes(TOPIC),
            transacts("begin"),
            sends(TOPIC, "1", transaction="t"),
            sends(TOPIC, "2", transaction="t"),
            transacts("commit", gets=2),
            leaves(),
        ],
    ),
    Application(
        "a transaction that is given up",
        [
            opens(),
            subscribes(TOPIC),
            transacts("begin"),
            sends(TOPIC, "1", transaction="t"),
            transacts("abort"),
            sends(TOPIC, "2", gets=1),
            leaves(),
        ],
    ),
    Application(
        "acknowledged in a transaction",
        [
            opens(),
            subscribes(QUEUE, ack=_INDIVIDUALLY),
            sends(QUEUE, "1", gets=1),
            sends(QUEUE, "2", gets=1),
            transacts("begin"),
            acknowledges(0, transaction="t"),
            sends(f"/topic/{OWN}", "done", transaction="t"),
            transacts("commit"),
            # An answer to it, since COMMIT has none in two libraries.
            sends(f"/topic/{OWN}", receipt="committed", gets=1),
            leaves(),
            opens(1),
            subscribes(QUEUE, 1, gets=2),
            leaves(1),
        ],
    ),
    # Refusals
    Application(
        "an exchange that is not there",
        [opens(), subscribes("/exchange/nowhere/a", gets=1), hears(None)],
    ),
    Application("a destination of no kind", [opens(), sends("/nothing/here", gets=1), hears(None)]),
)
