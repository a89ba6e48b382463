"""The accounts inside a private broker, as a definitions file that RabbitMQ imports at boot.

With definitions to import RabbitMQ creates no `guest` (https://www.rabbitmq.com/docs/definitions).
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ADMIN = "admin"
GATEWAY = "gateway"

_OWN = r"acdm\.mo\.interact\.|stomp-subscription-|amq\.gen-"
_PERMISSIONS = {
    ADMIN: {"configure": ".*", "write": ".*", "read": ".*"},
    GATEWAY: {
        "configure": rf"^({_OWN})",
        "write": rf"^({_OWN}|amq\.topic$)",
        "read": rf"^({_OWN}|amq\.topic$)",
    },
}
_TAGS = {ADMIN: "administrator", GATEWAY: ""}


@dataclass(frozen=True)
class User:
    """An account inside RabbitMQ."""

    name: str
    password: str = field(repr=False)


def load_or_create(path: Path) -> dict[str, User]:
    """The accounts kept in `path` (mode 0600), made with random passwords the first time."""
    if not path.exists():
        passwords = {name: secrets.token_urlsafe(24) for name in _PERMISSIONS}
        path.touch(mode=0o600)
        path.write_text(json.dumps(passwords))
    kept: dict[str, str] = json.loads(path.read_text())
    return {name: User(name, password) for name, password in kept.items()}


def definitions(users: dict[str, User]) -> dict[str, Any]:
    """The definitions: the vhost `/`, the accounts with hashed passwords, their permissions."""
    return {
        "vhosts": [{"name": "/"}],
        "users": [
            {
                "name": user.name,
                "password_hash": password_hash(user.password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": _TAGS[user.name],
            }
            for user in users.values()
        ],
        "permissions": [
            {"user": name, "vhost": "/"} | permissions for name, permissions in _PERMISSIONS.items()
        ],
    }


def password_hash(password: str) -> str:
    """RabbitMQ's form: base64(salt + SHA-256(salt + password)), 4 bytes of salt.

    https://www.rabbitmq.com/docs/passwords#computing-password-hash
    """
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
