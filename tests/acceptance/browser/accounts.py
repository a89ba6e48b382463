"""The people of these tests as local accounts."""

import secrets
import subprocess
import sys

from tests.acceptance.gateway_process import GatewayProcess

PASSWORD = secrets.token_urlsafe(12)


def add_accounts(gateway: GatewayProcess) -> None:
    """Hana, who may create rooms, Paul and Mina."""
    for name, *roles in (("hana", "--role", "host"), ("paul",), ("mina",)):
        command = [sys.executable, "-m", "gateway", "--config", str(gateway._config)]
        subprocess.run(  # noqa: S603 - our own program
            [*command, "user", "add", name, "--password-stdin", *roles],
            input=PASSWORD.encode() + b"\n",
            stdout=subprocess.DEVNULL,
            check=True,
        )
