"""A private gateway for the screenshots, in front of one broker node, with accounts."""

import http.client
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt

from devenv import gateway_toml
from devenv.cluster import Cluster
from devenv.daemon import Daemon
from devenv.errors import SetupError

Progress = Callable[[str], None]

_READY_TIMEOUT = 60.0
_STOP_TIMEOUT = 20.0
_LIFETIME = 3600.0


class Stage:
    """A running gateway: `url`; everybody has the one `password`."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.port = cluster.gateway_port(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.password = secrets.token_urlsafe(9)
        self._issuer_secret = secrets.token_urlsafe(48)
        self._config = folder / "gateway.toml"
        self._database = folder / "interact.db"
        for path in folder.glob("interact.db*"):
            path.unlink()
        settings = gateway_toml.tables(
            cluster,
            port=self.port,
            internal_port=cluster.gateway_port(0),
            database=self._database,
            secret=secrets.token_urlsafe(48),
            tls=None,
        )
        settings["auth"]["jwt"] = {
            "algorithms": ["HS256"],
            "secret": self._issuer_secret,
            "issuer": "screenshots",
            "audience": "interact",
        }
        self._config.touch(mode=0o600)
        self._config.write_text(gateway_toml.render(settings))
        self.gateway = _gateway(folder)

    def command(self, *arguments: str) -> list[str]:
        """Run a command of the gateway's command line."""
        return [sys.executable, "-m", "gateway", "--config", str(self._config), *arguments]

    def add_account(self, user: str, *, role: str = "") -> None:
        """Add an account that can log in with the password. Raises `SetupError`."""
        command = self.command("user", "add", user, "--replace", "--password-stdin")
        result = subprocess.run(
            [*command, *(("--role", role) if role else ())],
            input=self.password + "\n",
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise SetupError(f"gateway user add {user} failed:\n{result.stderr}")

    def token(self, user: str, roles: Sequence[str] = ()) -> str:
        """A JWT like one that the school's login server issues."""
        claims = {"sub": user, "roles": list(roles), "iss": "screenshots", "aud": "interact"}
        now = int(time.time())
        return jwt.encode(
            {**claims, "iat": now, "exp": now + int(_LIFETIME)},
            self._issuer_secret,
            algorithm="HS256",
        )

    def call(
        self, method: str, path: str, body: object, *, user: str, roles: Sequence[str] = ()
    ) -> Any:
        """The JSON of an answer. Raises `SetupError` for any but a 2xx."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                method,
                path,
                json.dumps(body).encode(),
                {
                    "Authorization": f"Bearer {self.token(user, roles)}",
                    "Content-Type": "application/json",
                },
            )
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status not in (200, 201, 202, 204):
                raise SetupError(f"{method} {path}: {answer.status} {text}")
            return json.loads(text) if text else None
        finally:
            connection.close()

    def await_ready(self) -> None:
        """Raises `SetupError` when the gateway ends, or is not ready in time."""
        deadline = time.monotonic() + _READY_TIMEOUT
        while not self._is_ready():
            if not self.gateway.alive() or time.monotonic() > deadline:
                raise SetupError(f"the gateway did not start:\n{self.gateway.log_tail()}")
            time.sleep(0.2)

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _gateway(folder: Path) -> Daemon:
    return Daemon(f"{folder}:gateway", folder / "gateway.log")


@contextmanager
def running(folder: Path, progress: Progress) -> Iterator[Stage]:
    """Run broker and gateway under `folder`; they are stopped at the end in any case."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    cluster = Cluster(folder / "broker", 1, progress=progress)
    # What a killed run left behind.
    _gateway(folder).stop(_STOP_TIMEOUT)
    cluster.destroy()
    stage: Stage | None = None
    try:
        cluster.start()
        stage = Stage(folder, cluster)
        progress("starting the gateway")
        stage.gateway.spawn(stage.command("serve"), env=dict(os.environ))
        stage.await_ready()
        yield stage
    finally:
        if stage is not None:
            stage.gateway.stop(_STOP_TIMEOUT)
        cluster.destroy()
