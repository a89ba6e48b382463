"""Names that a caller believes to have, compared with those of the credentials."""

from __future__ import annotations

from gateway.domain.identity import Identity
from gateway.domain.user_name import name_in_orders, user_name
from gateway.errors import UserChanged


def check_user(believed: str, identity: Identity) -> None:
    """Raises :class:`UserChanged` unless the credentials are those of the believed user.

    A page that shows one user must not speak in another one's name.
    """
    if not is_user(believed, identity):
        raise UserChanged("another user has logged in meanwhile; load the page again")


def is_user(name: str, identity: Identity) -> bool:
    """Whether the name is that of the credentials' user. RabbitMQ compares its own names."""
    if identity.login is not None:
        return name == identity.user
    try:
        return user_name(name) == identity.user
    except ValueError:
        return False


def name_of(identity: Identity) -> str:
    """The name by which orders mean the user. RabbitMQ's own may be written in another form, and an
    order that names the form means them all: it must not miss one."""
    return identity.user if identity.login is None else name_in_orders(identity.user)
