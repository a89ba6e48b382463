"""The door for RabbitMQ's own users, by ``login`` and ``passcode`` of CONNECT
(``[auth.rabbitmq]``)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from gateway.auth.guesses import Guesses
from gateway.auth.rabbitmq_rights import BrokerRights
from gateway.budget.budgets import CapBudget
from gateway.domain.broker_login import BrokerLogin
from gateway.domain.identity import Identity
from gateway.domain.user_name import carried_name
from gateway.errors import UnknownVirtualHost, WrongLogin

#: The compact form of a JWT (RFC 7519, section 3): its header is a JSON object, which begins with
#: ``{"`` and so with these letters.
_JWT: Final = re.compile(r"eyJ[\w-]*\.[\w-]+\.[\w-]*", re.ASCII)
#: The last second that can be written as a date: RabbitMQ says when such a login ends.
_NEVER: Final = 253_402_300_799.0


class RabbitmqLogins:
    """The door. RabbitMQ decides, by letting the user's relay log in; wrong logins count as
    guesses, as those at the gateway's own accounts do.

    ``own``: the gateway's own account, which is not for clients. ``with_tokens``: whether this
    gateway accepts tokens, so that a passcode may be one, whatever ``login`` says. ``places``: of
    their connections, by address.
    """

    def __init__(
        self,
        rights: BrokerRights,
        guesses: Guesses,
        *,
        vhost: str,
        own: str,
        with_tokens: Callable[[], bool],
        places: CapBudget,
    ) -> None:
        self.rights = rights
        self.places = places
        self._guesses = guesses
        self._vhost = vhost
        self._own = own
        self._with_tokens = with_tokens

    def is_meant(self, login: str | None, passcode: str | None) -> bool:
        """Whether a CONNECT with these headers is one of RabbitMQ's own users."""
        return bool(login) and not (
            self._with_tokens() and passcode is not None and _JWT.fullmatch(passcode)
        )

    def identity(
        self, login: str, passcode: str, *, vhost: str | None, address: str, connection: str
    ) -> Identity:
        """The user, whom RabbitMQ has not confirmed yet. Raises :class:`TooManyGuesses`,
        :class:`WrongLogin`."""
        self._guesses.check(address, _guessed(login))
        try:
            user = carried_name(login)
        except ValueError:
            user = self._own
        if user == self._own:
            self._guesses.wrong(address, _guessed(login))
            raise refusal(login)
        own_login = self.rights.login(
            user, passcode, vhost=vhost or self._vhost, payer=f"{user} {connection}"
        )
        return Identity(user, frozenset(), _NEVER, login=own_login, vhost=vhost)

    @asynccontextmanager
    async def logging_in(self, login: BrokerLogin, *, address: str) -> AsyncIterator[bool]:
        """A block in which RabbitMQ is asked to let the user in, by an error if it does not. It is
        given whether RabbitMQ has done so a short time ago. Raises :class:`TooManyGuesses`."""
        guessed = _guessed(login.user)
        async with self.rights.logging_in(login) as known:
            if known:
                yield True
                return
            # Others may have guessed while this one waited.
            self._guesses.check(address, guessed)
            try:
                yield False
            except (WrongLogin, UnknownVirtualHost):
                self._guesses.wrong(address, guessed)
                raise
            self._guesses.right(address, guessed)


def refusal(user: str) -> WrongLogin:
    """RabbitMQ's answer to a wrong login."""
    return WrongLogin(f"Access refused for user '{user[:255]}'\n")


def _guessed(user: str) -> str:
    """The name under which wrong logins are counted: no account of the gateway's own can have it,
    because it cannot be printed."""
    return f"rabbitmq\n{user}"
