"""The accounts of the demonstration, with random passwords that stay the same between runs."""

import json
import secrets
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devenv.errors import SetupError

Progress = Callable[[str], None]

#: Name -> system role; participants need none.
ROLES = {"teacher": "host", "mina": "", "junho": "", "admin": "admin"}


@dataclass(frozen=True)
class Login:
    """A demo account."""

    user: str
    role: str
    password: str = field(repr=False)


def ensure(memo: Path, database: Path, gateway: Sequence[str], progress: Progress) -> list[Login]:
    """The accounts, kept in `memo` (mode 0600), made where `database` does not have them yet.

    `gateway` is the command line up to and without the subcommand.
    """
    if memo.exists() and database.exists():
        return _read(memo)
    progress("making the database and the demo accounts")
    _run([*gateway, "migrate"])
    passwords = {user: secrets.token_urlsafe(9) for user in ROLES}
    for user, role in ROLES.items():
        add = ["user", "add", user, "--replace", "--password-stdin"]
        roles = ["--role", role] if role else []
        _run([*gateway, *add, *roles], passwords[user] + "\n")
    memo.unlink(missing_ok=True)
    memo.touch(mode=0o600)
    memo.write_text(json.dumps(passwords))
    return _read(memo)


def _run(command: Sequence[str], typed: str = "") -> None:
    result = subprocess.run(command, input=typed, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SetupError(f"{' '.join(command)} failed:\n{result.stderr}")


def _read(memo: Path) -> list[Login]:
    passwords: dict[str, str] = json.loads(memo.read_text())
    return [Login(user, ROLES[user], password) for user, password in passwords.items()]
