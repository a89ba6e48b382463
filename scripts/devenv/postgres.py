"""A throw-away PostgreSQL server on loopback, for tests."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from devenv import ports
from devenv.daemon import Daemon
from devenv.errors import SetupError

Progress = Callable[[str], None]

_TIMEOUT = 60.0
_USER = "interact"


def binaries() -> Path:
    """The folder of the newest installed server's programs; they are not on the PATH."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name)
    )
    servers = [path for path in found if (path / "initdb").exists()]
    if not servers:
        raise SetupError("PostgreSQL is missing: apt-get install postgresql")
    return servers[-1]


class Postgres:
    """One server. `root` remembers where it is, so that a stale one is found and removed.

    Its data lies in the system's temporary folder: PostgreSQL refuses to run as root, and the
    user it then runs as may not be allowed into `root`. Everyone on loopback is trusted.
    """

    def __init__(
        self, root: Path, *, progress: Progress = lambda text: None, durable: bool = False
    ) -> None:
        """``durable``: each commit waits for the disk, which a test has no need of."""
        self._progress = progress
        self._durable = durable
        self._memo = root / "postgres-folder"
        self._daemon = Daemon(
            f"{root.resolve()}:postgres", root / "postgres.log", stop_signal=signal.SIGINT
        )
        self._bin = binaries()
        # A server finds its own programs through PATH-free absolute names; the rest is not ours.
        self._environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        self.port = 0

    @property
    def pids(self) -> list[int]:
        """Its processes now; the first one starts all others, which write their titles over the
        environment, so that they have no mark."""
        return [
            each.pid
            for process in self._daemon.processes()
            for each in (process, *process.children(recursive=True))
        ]

    def start(self) -> None:
        """Make an empty server and wait until it answers; a stale one is removed first."""
        self._progress("starting PostgreSQL")
        folder = self._new_folder()
        self._run("initdb", "-D", folder, "-U", _USER, "-A", "trust", "-E", "UTF8", "-N")
        self.port = ports.free_block()
        self._serve()

    def follow(self, primary: "Postgres") -> None:
        """Make a streaming standby of another server, and wait until it answers."""
        folder = self._new_folder()
        self._run("pg_basebackup", *_at(primary.port), "-D", folder, "-R", "-c", "fast", "-N")
        self.port = ports.free_block()
        self._serve()

    def promote(self) -> None:
        """Make a standby a server of its own, which writes."""
        self._run("pg_ctl", "promote", "-w", "-D", self._memo.read_text())

    def sql(self, statement: str, database: str = "postgres") -> str:
        """What a statement says, unadorned."""
        return self._run("psql", *self._address(), "-d", database, "-Atqc", statement).strip()

    def restart(self) -> None:
        """Stop it, breaking every connection, and start it on the same data and port."""
        self.stop()
        self._serve()

    def stop(self) -> None:
        """A fast shutdown: open transactions are rolled back, connections closed."""
        self._daemon.stop(_TIMEOUT)

    def kill(self) -> None:
        """Kill all its processes (SIGKILL)."""
        self._daemon.kill()

    def pause(self) -> None:
        """Freeze all its processes (SIGSTOP): connections stand, and nothing answers."""
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after :meth:`pause`."""
        for pid in self.pids:
            os.kill(pid, signal.SIGCONT)

    def break_connections(self) -> None:
        """End every connection to it but the one that says so."""
        self.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where pid <> pg_backend_pid() and backend_type = 'client backend'"
        )

    def destroy(self) -> None:
        """Stop it and delete its data."""
        # What is frozen would outlive the first one.
        self.resume()
        self._daemon.kill()
        if self._memo.exists():
            shutil.rmtree(self._memo.read_text(), ignore_errors=True)
            self._memo.unlink()

    def url(self, database: str = "postgres") -> str:
        """The address of a database, for SQLAlchemy."""
        return f"postgresql+asyncpg://{_USER}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, *, like: str | None = None) -> None:
        """Make a database: empty, or with what another one has, to which nobody is connected."""
        template = () if like is None else ("--template", like)
        self._run("createdb", *self._address(), *template, name)

    def drop_database(self, name: str) -> None:
        """Drop it even while somebody is connected."""
        self._run("dropdb", *self._address(), "--force", "--if-exists", name)

    def _serve(self) -> None:
        folder = self._memo.read_text()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            # Protects against a crash of the machine only, which no test causes.
            "fsync": "on" if self._durable else "off",
        }
        self._daemon.spawn(
            [
                *drop_privileges(),
                str(self._bin / "postgres"),
                "-D",
                folder,
                *(f"--{key}={value}" for key, value in settings.items()),
            ],
            env=self._environment,
        )
        deadline = time.monotonic() + _TIMEOUT
        while not self._answers():
            if not self._daemon.alive() or time.monotonic() > deadline:
                raise SetupError(f"PostgreSQL did not start:\n{self._daemon.log_tail()}")
            time.sleep(0.1)

    def _new_folder(self) -> str:
        """A folder for its data; a stale server is removed first."""
        self.destroy()
        folder = Path(tempfile.mkdtemp(prefix="interact-postgres-"))
        self._memo.parent.mkdir(parents=True, exist_ok=True)
        self._memo.write_text(str(folder))
        if os.geteuid() == 0:
            user = unprivileged()
            os.chown(folder, user.pw_uid, user.pw_gid)
        return str(folder)

    def _answers(self) -> bool:
        command = [str(self._bin / "pg_isready"), "-q", "-d", "postgres", *self._address()]
        return subprocess.run(command, env=self._environment, check=False).returncode == 0

    def _address(self) -> list[str]:
        return _at(self.port)

    def _run(self, program: str, *arguments: str) -> str:
        result = subprocess.run(
            [*drop_privileges(), str(self._bin / program), *arguments],
            env=self._environment,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise SetupError(f"{program} failed:\n{result.stderr}")
        return result.stdout


def _at(port: int) -> list[str]:
    return ["-h", "127.0.0.1", "-p", str(port), "-U", _USER]


def unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def drop_privileges() -> list[str]:
    if os.geteuid() != 0:
        return []
    user = unprivileged()
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]
