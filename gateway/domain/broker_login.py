"""A client's own login at RabbitMQ."""

from __future__ import annotations

from typing import Never

from broker.nodes.credentials import Credentials


class BrokerLogin:
    """A user of RabbitMQ with the passcode that the client gave, for one virtual host.

    RabbitMQ judges whatever is done with it. The passcode is kept in memory alone, because a relay
    logs in again after the loss of a node; no text of this object shows it, and it cannot be
    pickled or copied. :meth:`forget` overwrites it.

    ``mark`` tells logins apart without the passcode. ``payer``: the owner of what the limits on one
    user count. A login may be shared by everybody who opens a page, so that is not the login.
    """

    __slots__ = ("_is_forgotten", "_passcode", "mark", "payer", "user", "vhost")

    def __init__(self, user: str, passcode: str, *, vhost: str, mark: bytes, payer: str) -> None:
        self.user = user
        self.vhost = vhost
        self.mark = mark
        self.payer = payer
        self._passcode = bytearray(passcode.encode())
        self._is_forgotten = False

    @property
    def credentials(self) -> Credentials:
        """For one dial. The passcode in it is empty once it was forgotten."""
        return Credentials(self.user, self._passcode.decode(), self.vhost)

    @property
    def is_forgotten(self) -> bool:
        """Whether the passcode was forgotten. RabbitMQ takes an empty one from nobody."""
        return self._is_forgotten

    def forget(self) -> None:
        """Overwrite the passcode; any number of times."""
        self._passcode[:] = bytes(len(self._passcode))
        del self._passcode[:]
        self._is_forgotten = True

    def __repr__(self) -> str:
        return f"BrokerLogin({self.user!r}, vhost={self.vhost!r})"

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError("a login is not copied, pickled or written anywhere")
