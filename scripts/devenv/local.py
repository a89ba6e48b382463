"""The folder of `scripts/run` (`.run/`), and the numbers with which it was last started."""

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from devenv import rabbitmq
from devenv.cluster import Cluster
from devenv.errors import SetupError

Progress = Callable[[str], None]

FOLDER = Path(__file__).parents[2] / ".run"
PORT_BASE = 21_000


@dataclass(frozen=True)
class Local:
    """A local installation: `nodes` broker nodes and the gateway's public `port`.

    `rabbitmq` is the version, None the distribution's own.
    """

    nodes: int
    port: int
    rabbitmq: str | None = None

    @property
    def internal_port(self) -> int:
        """The port of the gateway's internal listener, which RabbitMQ asks about permissions."""
        return self.port + 1

    def cluster(self, progress: Progress) -> Cluster:
        """Its broker. Each size and version has a folder of its own: a cluster cannot change its
        size, and not every version goes on with the data of every other."""
        rabbitmq.choose(self.rabbitmq)
        version = f"-{self.rabbitmq}" if self.rabbitmq else ""
        return Cluster(
            FOLDER / f"broker-{self.nodes}{version}",
            self.nodes,
            port_base=PORT_BASE,
            auth_url=f"http://127.0.0.1:{self.internal_port}/broker/auth",
            progress=progress,
        )

    def remember(self) -> None:
        _memo().write_text(json.dumps(asdict(self)))


def remembered() -> Local | None:
    """The installation that `scripts/run` started last; None before the first time."""
    return Local(**json.loads(_memo().read_text())) if _memo().exists() else None


@contextmanager
def only_one() -> Iterator[None]:
    """Held while `scripts/run` runs: two in one checkout would share the data."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    with (FOLDER / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError("scripts/run is running in this checkout already") from None
        yield


def _memo() -> Path:
    return FOLDER / "local.json"
