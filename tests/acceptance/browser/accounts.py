"""The people of these tests as local accounts."""

import json
import secrets
import subprocess
import sys

from tests.acceptance.gateway_process import GatewayProcess

PASSWORD = secrets.token_urlsafe(12)

_ACCOUNTS = (("hana", "--role", "host"), ("paul",), ("mina",))
#: The command `gateway user add` once for each account, in one process: starting one takes longer
#: than all the rest. Standard input gives the options, the accounts and their password as JSON.
_ADD = """
import io, json, sys
from gateway.cli.arguments import main
options, accounts, password = json.load(sys.stdin)
for account in accounts:
    sys.stdin = io.StringIO(password + "\\n")
    if main([*options, "user", "add", "--password-stdin", *account]):
        sys.exit(1)
"""


def add_accounts(gateway: GatewayProcess) -> None:
    """Hana, who may create rooms, Paul and Mina."""
    subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _ADD],
        input=json.dumps([["--config", str(gateway.config)], _ACCOUNTS, PASSWORD]).encode(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
