"""A throw-away PgBouncer on loopback before a PostgreSQL server, for tests."""

import os
import shutil
import socket
import tempfile
import time
from pathlib import Path

from devenv import ports
from devenv.daemon import Daemon
from devenv.errors import SetupError
from devenv.postgres import Postgres, drop_privileges, unprivileged

_TIMEOUT = 30.0
_USER = "interact"


class PgBouncer:
    """One pooler; everyone on loopback is trusted.

    ``ignored``: start-up parameters that it takes and forgets. It gives every transaction another
    connection of the server if it can, so that what does not work then does not work at once.
    """

    def __init__(
        self, root: Path, server: Postgres, *, pool_mode: str, ignored: str = "extra_float_digits"
    ) -> None:
        self._server = server
        self._settings = {
            "listen_addr": "127.0.0.1",
            "unix_socket_dir": "",
            "auth_type": "trust",
            "pool_mode": pool_mode,
            "default_pool_size": "20",
            "max_client_conn": "100",
            "server_round_robin": "1",
            "ignore_startup_parameters": ignored,
        }
        self._daemon = Daemon(f"{root.resolve()}:pgbouncer", root / "pgbouncer.log")
        # Where an unprivileged user may read, as PostgreSQL's data.
        self._folder = Path(tempfile.mkdtemp(prefix="interact-pgbouncer-"))
        self.port = 0

    def start(self) -> None:
        self.port = ports.free_block()
        users = self._folder / "users"
        users.write_text(f'"{_USER}" ""\n')
        settings = self._settings | {"listen_port": str(self.port), "auth_file": str(users)}
        configuration = self._folder / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n* = host=127.0.0.1 port={self._server.port}\n\n[pgbouncer]\n"
            + "".join(f"{key} = {value}\n" for key, value in settings.items())
        )
        if os.geteuid() == 0:
            # PgBouncer refuses to run as root.
            user = unprivileged()
            for path in (self._folder, users, configuration):
                os.chown(path, user.pw_uid, user.pw_gid)
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise SetupError("PgBouncer is missing: apt-get install pgbouncer")
        self._daemon.spawn([*drop_privileges(), program, str(configuration)], env=os.environ.copy())
        deadline = time.monotonic() + _TIMEOUT
        while not self._answers():
            if not self._daemon.alive() or time.monotonic() > deadline:
                raise SetupError(f"PgBouncer did not start:\n{self._daemon.log_tail()}")
            time.sleep(0.05)

    def destroy(self) -> None:
        """Stop it and delete its files."""
        self._daemon.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
