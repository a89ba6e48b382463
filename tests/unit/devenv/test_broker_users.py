"""The broker's own accounts."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from devenv import broker_users


def test_passwords_are_random_kept_and_for_the_owner_only(tmp_path: Path) -> None:
    first = broker_users.load_or_create(tmp_path / "a.json")
    other = broker_users.load_or_create(tmp_path / "b.json")

    assert broker_users.load_or_create(tmp_path / "a.json") == first
    assert first["gateway"].password != other["gateway"].password
    assert len(first["gateway"].password) >= 32
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o600


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    user = broker_users.load_or_create(tmp_path / "a.json")["admin"]

    assert user.password not in repr(user)


def test_the_definitions_hold_hashes_and_no_guest(tmp_path: Path) -> None:
    users = broker_users.load_or_create(tmp_path / "a.json")
    definitions = broker_users.definitions(users)
    text = json.dumps(definitions)

    assert {user["name"] for user in definitions["users"]} == {"admin", "gateway"}
    assert all(user.password not in text for user in users.values())


def test_a_hash_is_salt_and_sha256_of_salt_and_password() -> None:
    decoded = base64.b64decode(broker_users.password_hash("secret"))

    salt, digest = decoded[:4], decoded[4:]
    assert digest == hashlib.sha256(salt + b"secret").digest()
    assert broker_users.password_hash("secret") != broker_users.password_hash("secret")


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("acdm.mo.interact.private.42", True),
        ("acdm.mo.interact.feed.host.0.0a1b2c3d", True),
        ("stomp-subscription-cbvwAhxHrOletYRGgvcGGw", True),
        ("amq.gen-abc", True),
        ("payroll", False),
        ("my.acdm.mo.interact.private.42", False),
        ("acdm-mo-interact.private.42", False),
    ],
)
def test_the_gateway_may_configure_its_own_queues_only(
    name: str, allowed: bool, tmp_path: Path
) -> None:
    definitions = broker_users.definitions(broker_users.load_or_create(tmp_path / "a.json"))
    (gateway,) = (entry for entry in definitions["permissions"] if entry["user"] == "gateway")

    assert bool(re.search(gateway["configure"], name)) is allowed
    assert re.search(gateway["write"], "amq.topic")
    assert not re.search(gateway["write"], "amq.topical")
