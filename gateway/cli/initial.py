"""The command ``gateway init``: a configuration to begin with."""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.cli.findings import say
from gateway.cli.running import Unusable
from gateway.domain.origin import canonical

HELP: Final = (
    "Write a configuration to begin with, every key explained, with fresh secrets. A file that"
    " exists is left alone."
)
#: In the wheel and in a checkout: the example, and what belongs beside a gateway.
CONF: Final = Path(__file__).parent.parent / "conf"
#: Bytes of chance in a secret.
_CHANCE: Final = 32
_TABLE: Final = re.compile(r"#?\[+([a-z_.]+)\]+$")
_KEY: Final = re.compile(r"#?([a-z_]+) = ")


def write(options: argparse.Namespace, target: Path) -> int:
    """Write the configuration, for its owner only, and say what comes next."""
    try:
        origins = [canonical(origin) for origin in options.origin]
    except ValueError as error:
        raise Unusable(f"--origin: {error}") from None
    values: dict[str, object] = {
        name: secrets.token_urlsafe(_CHANCE)
        for name in ("auth.secret", "broker.password", "server.drain_token")
    }
    if origins:
        values["server.origins"] = origins
    text = filled((CONF / "gateway.toml").read_text(encoding="utf-8"), values)
    try:
        opened = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Unusable(f"{target} exists already, and is left alone") from None
    except OSError as error:
        raise Unusable(f"{target} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        # Half of it would be refused the next time, too.
        target.unlink()
        raise Unusable(f"{target} cannot be written: {error.strerror}") from error
    say(f"wrote {target.absolute()}, with secrets that nobody else has")
    for step in _next(target, has_origins=bool(origins)):
        say(f"  {step}")
    return 0


def filled(example: str, values: Mapping[str, object]) -> str:
    """The example with values for some of its keys, whose lines may be commented out. Each key is
    ``table.key``. Raises :class:`LookupError` for a key that the example does not have."""
    left = dict(values)
    lines, table = [], ""
    for line in example.splitlines():
        if begun := _TABLE.match(line):
            table = begun.group(1)
        key = _KEY.match(line)
        name = f"{table}.{key.group(1)}" if key else ""
        # A JSON string or a list of them is TOML as well.
        new = key is not None and name in left
        lines.append(f"{name.rpartition('.')[2]} = {json.dumps(left.pop(name))}" if new else line)
    if left:
        raise LookupError(f"the example has no {', '.join(left)}")
    return "\n".join(lines) + "\n"


def _next(target: Path, *, has_origins: bool) -> list[str]:
    option = "" if target == Path("gateway.toml") else f" --config {target}"
    first = "broker.nodes" if has_origins else "broker.nodes and server.origins"
    return [
        f"1. say in it where RabbitMQ is and who comes: {first}",
        f"2. on a node of RabbitMQ, after {CONF / 'rabbitmq' / 'rabbitmq.conf'}:"
        " rabbitmqctl add_user gateway (it asks for the password: broker.password)",
        f"3. gateway{option} serve",
        f"4. gateway{option} doctor says what is left to do",
    ]
