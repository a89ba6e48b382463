"""Credentials for logging in to RabbitMQ."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and secret, and the virtual host to enter."""

    login: str
    passcode: str = field(repr=False)
    vhost: str = "/"
