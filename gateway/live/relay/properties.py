"""Headers that must have a form, or RabbitMQ ends a session. Pure.

RabbitMQ does not say why then ("Processing error", on 3.10 nothing at all), and all that is sent
behind such a SEND is lost. What RabbitMQ answers with an ERROR that names the header
(``priority:high``) is left to it. https://www.rabbitmq.com/docs/stomp#pear

What AMQP cannot write RabbitMQ gives to STOMP's subscribers all the same, and breaks off each AMQP
connection that is to get it: that of every feed, with all topics of all clients. So names that are
too long for AMQP are refused wherever RabbitMQ takes one from a header, whether or not it would be
read by a feed: a queue's name is the routing key of its dead letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from broker.protocol.stomp import Frame
from gateway.errors import BadFrame

_DIGITS: Final = re.compile(r"[0-9]{1,20}")
#: Milliseconds (``rabbit_misc:check_expiry``).
_LONGEST: Final = 2**32 - 1
#: An integer as RabbitMQ reads one (``rabbit_stomp_frame:integer_header``).
_INTEGER: Final = re.compile(r" *[+-]?[0-9]{1,18} *", re.ASCII)
#: Bytes of what AMQP writes behind a length of one byte: names of headers, routing keys, and these
#: properties (``rabbit_stomp_util:message_properties``).
_SHORT: Final = 255
_SHORT_PROPERTIES: Final = (
    "content-type",
    "content-encoding",
    "correlation-id",
    "reply-to",
    "amqp-message-id",
    "type",
    "user-id",
    "app-id",
    "cluster-id",
)
#: What a queue gives to the messages that it hands on (``rabbit_stomp_util:build_arguments``), and
#: its own name.
_OF_QUEUES: Final = ("x-dead-letter-exchange", "x-dead-letter-routing-key", "x-queue-name")
#: A character of UTF-8 has four bytes at most.
_SURELY_SHORT: Final = _SHORT // 4
#: What a destination of each kind names (https://www.rabbitmq.com/docs/stomp#d); the last one is
#: without a slash in front.
_NAMED_BY: Final = (
    ("/topic/", ("a routing key",)),
    ("/exchange/", ("an exchange's name", "a routing key")),
    ("/queue/", ("a queue's name",)),
    ("/amq/queue/", ("a queue's name",)),
    ("/reply-queue/", ("a queue's name",)),
    ("", ("a queue's name",)),
)
#: Characters of a wrong value that are shown.
_SHOWN: Final = 40


def check_send(frame: Frame) -> None:
    """Raises :class:`BadFrame`, which names the header of a SEND and what would be right."""
    value = frame.get("expiration")
    if value is not None and not (_DIGITS.fullmatch(value) and int(value) <= _LONGEST):
        raise BadFrame(
            f"expiration:{value[:_SHOWN]}: must be a whole number of milliseconds, "
            f"at most {_LONGEST}"
        )
    for name, _ in frame.headers:
        if _is_long(name):
            raise BadFrame(f"{name[:_SHOWN]}…: a header's name has at most {_SHORT} bytes")
    _check_short(frame, _SHORT_PROPERTIES + _OF_QUEUES)
    _check_destination(frame)


def _check_short(frame: Frame, names: Iterable[str]) -> None:
    for name in names:
        if _is_long(frame.get(name) or ""):
            raise BadFrame(f"{name}: has at most {_SHORT} bytes")


def _is_long(text: str) -> bool:
    return len(text) > _SURELY_SHORT and len(text.encode()) > _SHORT


def _check_destination(frame: Frame) -> None:
    """RabbitMQ decodes no escape but this one (``rabbit_routing_util:unescape``), and takes all
    that is behind the slashes which it knows for one name."""
    destination = frame.get("destination") or ""
    if len(destination) <= _SURELY_SHORT:
        return
    start, kinds = next(each for each in _NAMED_BY if destination.startswith(each[0]))
    names = destination.removeprefix(start).split("/", len(kinds) - 1)
    for kind, name in zip(kinds, names, strict=False):
        if _is_long(name.replace("%2F", "/")):
            raise BadFrame(f"destination: {kind} has at most {_SHORT} bytes")


def check_subscribe(frame: Frame) -> None:
    """The same for a SUBSCRIBE."""
    value = frame.get("prefetch-count")
    if value is not None and not _INTEGER.fullmatch(value):
        raise BadFrame(
            f"prefetch-count:{value[:_SHOWN]}: must be a whole number; leave it out for no limit"
        )
    _check_short(frame, _OF_QUEUES)
    _check_destination(frame)
