"""The gateway under flood, as its clients see it."""

import ssl
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from bench_suite import gateways
from bench_suite.gateways import TOPOLOGY
from broker.topology import Audience, Stream

#: The bad participant, a member of the good room as well.
FLOODER = "mallory"
#: The participants of the bad room, beside the flooder.
BAD_MEMBERS = 10
#: The local account of the same person.
PASSWORD = "correct horse battery staple"  # noqa: S105 - of a database that lives for minutes


@dataclass(frozen=True)
class Site:
    """The address of a gateway, and the means to come in as anybody.

    ``good_room`` is the measured one. ``bad_room`` belongs to `FLOODER`, and so do its members.
    """

    port: int
    secret: str = field(repr=False)
    authority: Path | None
    good_room: int
    bad_room: int

    @property
    def host(self) -> str:
        """The value of the header Host."""
        return f"127.0.0.1:{self.port}"

    def token(self, name: str, *roles: str, **more: str) -> str:
        """A token like one that a school's login server issues, with ``more`` claims."""
        return gateways.token(self.secret, name, *roles, **more)

    @cached_property
    def context(self) -> ssl.SSLContext | None:
        """What clients trust; None without TLS. Not before the site is in its process."""
        if self.authority is None:
            return None
        return ssl.create_default_context(cafile=str(self.authority))


def topic(room: int, audience: Audience = Audience.PUBLIC) -> str:
    """The destination of a room's messages."""
    return f"/topic/{TOPOLOGY.routing_key(Stream(audience, room))}"


def queue(room: int) -> str:
    """The destination of a room's private queue."""
    return f"/queue/{TOPOLOGY.private_queue(room).name}"


def bad_member(number: int) -> str:
    """A participant of the bad room; there are `BAD_MEMBERS`."""
    return f"mate{number}"
