"""The floods that `scripts/floods` knows. Only the standard library is imported: its --help shows
them before anything is installed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Entry:
    """A flood: what somebody does, and the module of `flood_suite.floods` that does it.

    ``arguments`` go to the module's `flood`. ``short``: in `scripts/test`, too.
    """

    title: str
    module: str
    arguments: Mapping[str, int] = field(default_factory=dict)
    short: bool = False


FLOODS: Final[dict[str, Entry]] = {
    "history-2": Entry(
        "one participant reads 500 large messages again and again, on two connections",
        "history",
        {"connections": 2},
        short=True,
    ),
    "history-8": Entry("… on eight", "history", {"connections": 8}),
    "history-unread": Entry(
        "one participant asks for 500 large messages and never reads the answers",
        "history_unread",
        {"connections": 20},
    ),
    "tiny-frames-1": Entry(
        "one socket without credentials sends empty WebSocket frames at 8 Mbit/s",
        "tiny_frames",
        {"sockets": 1},
        short=True,
    ),
    "tiny-frames-20": Entry("twenty do", "tiny_frames", {"sockets": 20}),
    "log-ins": Entry(
        "one account logs in, with its right password, eight times at once",
        "log_ins",
        {"at_once": 8},
    ),
    "wrong-log-ins": Entry(
        "names that nobody has log in, eight at once",
        "log_ins",
        {"at_once": 8, "wrong": 1},
        short=True,
    ),
    "half-requests": Entry(
        "1,100 requests whose heads never end", "half_requests", {"requests": 1100}, short=True
    ),
    "half-bodies": Entry(
        "1,100 posts whose bodies never end", "half_requests", {"requests": 1100, "bodies": 1}
    ),
    "rooms-and-dials": Entry(
        "one host creates rooms and reads the private queue of each", "rooms_and_dials"
    ),
    "many-subscriptions": Entry(
        "20 connections of one user have 100 subscriptions each to one busy topic",
        "many_subscriptions",
        {"connections": 20, "subscriptions": 100},
    ),
    "resumes": Entry(
        "two resumes of one user take turns over large messages", "resumes", {"sockets": 2}
    ),
    "large-posts": Entry(
        "one participant posts 64 KB as fast as it can", "large_posts", {"connections": 8}
    ),
    "large-sends": Entry("one participant SENDs 60 KB as fast as it can", "large_sends"),
    "instant-posts": Entry(
        "one participant posts instant messages as fast as it can",
        "large_posts",
        {"connections": 8, "instant": 1},
    ),
    "come-and-go": Entry(
        "sockets (with TLS: handshakes) that connect and leave",
        "come_and_go",
        {"at_once": 20},
        short=True,
    ),
    "upgrades": Entry("WebSocket handshakes whose clients leave at once", "upgrades"),
    "bad-tokens": Entry("CONNECT with tokens that are none", "bad_tokens", {"sockets": 20}),
    "subscribe-loop": Entry(
        "SUBSCRIBE and UNSUBSCRIBE, again and again", "subscribe_loop", {"sockets": 4}
    ),
    "pings": Entry("WebSocket pings as fast as it can", "pings", {"sockets": 4}, short=True),
    "slow-readers": Entry(
        "fifty sockets that never read of a topic with large messages",
        "slow_readers",
        {"sockets": 50},
    ),
    "events": Entry(
        "event streams of large messages: ten are read, five never, two come and go",
        "events",
        {"readers": 10, "asleep": 5, "resuming": 2},
        short=True,
    ),
    "events-unread": Entry(
        "… fifty that nobody reads", "events", {"readers": 0, "asleep": 50, "resuming": 0}
    ),
    "drip": Entry(
        "200 posts whose bodies come in chunks of one byte", "drip", {"connections": 200}
    ),
    "drip-heads": Entry(
        "500 heads of requests that come a byte at a time", "drip_heads", {"connections": 500}
    ),
    "odd-acks": Entry(
        "a host acknowledges what it never got, on its private queue", "odd_acks", {"sockets": 2}
    ),
    "dashboards": Entry("an admin opens the dashboard a hundred times", "dashboards"),
    "presence": Entry("one user's 50 sockets join and leave", "presence", {"sockets": 50}),
    "unknown-sockets": Entry(
        "1,100 sockets that never say CONNECT", "unknown_sockets", {"sockets": 1100}
    ),
    "deep-json": Entry(
        "one participant posts JSON of 20,000 brackets",
        "large_posts",
        {"connections": 8, "deep": 1},
    ),
    "pages": Entry(
        "requests for pages, without credentials, pipelined", "pages", {"connections": 8}
    ),
    "many-pages": Entry(
        "500 connections without credentials ask for a page, as the good room's newcomers do",
        "many_pages",
        {"connections": 500},
    ),
    "probes": Entry(
        "/readyz and /healthz are asked, pipelined, without a pause",
        "probes",
        {"connections": 8},
        short=True,
    ),
    "wrong-fields": Entry(
        "one host posts JSON of thousands of fields that there are not",
        "wrong_fields",
        {"connections": 4},
    ),
    "members": Entry("one host adds and removes members", "members", {"connections": 4}),
    "lists": Entry(
        "one host reads the lists of a room with 1,000 members", "lists", {"connections": 8}
    ),
    "rosters": Entry(
        "one host has lists of 5,000 people checked", "lists", {"connections": 4, "rosters": 1}
    ),
    "sessions": Entry(
        "one user opens, shows, lists and ends sessions",
        "sessions",
        {"connections": 8},
        short=True,
    ),
    "renewals": Entry("new tokens for connections, again and again", "renewals", {"sockets": 4}),
    "state": Entry(
        "one participant reads a large kept state again and again",
        "kept_state",
        {"connections": 8},
        short=True,
    ),
    "state-unchanged": Entry(
        "… asks what has changed of it", "kept_state", {"connections": 8, "changed": 1}
    ),
    "knocks": Entry(
        "people knock at a door, and its host looks at it, without a pause",
        "class_codes",
        {"connections": 8},
        short=True,
    ),
    "wrong-codes": Entry("class codes are guessed", "class_codes", {"connections": 8, "wrong": 1}),
    "new-codes": Entry(
        "one host renews a room's class code", "class_codes", {"connections": 4, "renew": 1}
    ),
    "exports": Entry(
        "one host exports 500 large messages, five times at once",
        "exports",
        {"connections": 5},
    ),
    "admin-calls": Entry(
        "an admin's script asks for everything",
        "admin_calls",
        {"connections": 4},
        short=True,
    ),
}
