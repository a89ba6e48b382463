"""File descriptors: the limit, the need, and a reserve for what must always work."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from typing import Final, Self

from gateway.config import Config

#: Kept for probes, the database, RabbitMQ and files, whatever the clients do; a few more per node.
_KEPT: Final = 64
_KEPT_A_NODE: Final = 8
#: Of a limit that is far too small, no more than this part is kept.
_PART: Final = 4


@dataclass(frozen=True, slots=True)
class Descriptors:
    """The descriptors of the process. ``limit`` of them are allowed, ``kept`` of them are not for
    clients."""

    limit: int
    kept: int

    @classmethod
    def raised(cls, config: Config) -> Self:
        """The limit, after raising it as far as the system allows (RLIMIT_NOFILE)."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return cls.of(config, limit=hard)

    @classmethod
    def found(cls, config: Config) -> Self:
        """As :meth:`raised` would give it; nothing is changed."""
        return cls.of(config, limit=resource.getrlimit(resource.RLIMIT_NOFILE)[1])

    @classmethod
    def of(cls, config: Config, *, limit: int) -> Self:
        kept = _KEPT + _KEPT_A_NODE * len(config.broker.nodes)
        return cls(limit, min(kept, limit // _PART))

    @property
    def for_clients(self) -> int:
        """Descriptors from this number on are kept: the system always gives the lowest free one, so
        a connection that gets it shows that all below are in use."""
        return self.limit - self.kept

    @property
    def has_room(self) -> bool:
        """Whether something may be opened for a client."""
        lowest = lowest_free()
        return lowest is not None and lowest < self.for_clients

    @property
    def for_operators(self) -> int:
        """The same for the internal listener: half of those that are kept remain for the database,
        RabbitMQ and files."""
        return self.limit - self.kept // 2

    @property
    def for_probes(self) -> int:
        """Descriptors of those that are kept, for probes of the public listener at the limit; half
        as many are for the internal one."""
        return self.kept // 4

    def shortage(self, config: Config) -> Shortage | None:
        """The shortage for ``limits.connections`` and its remedy; None: there is none."""
        needed = needs(config)
        if self.limit >= needed:
            return None
        return Shortage(
            f"the system allows this process {self.limit} open files, but limits.connections ="
            f" {config.limits.connections} needs {needed}",
            "raise the limit (systemd: LimitNOFILE=; docker: --ulimit nofile=; a shell: ulimit"
            " -Hn), or lower limits.connections",
        )


@dataclass(frozen=True, slots=True)
class Shortage:
    """Fewer descriptors than the configuration needs, and what to do about it."""

    problem: str
    mend: str

    def __str__(self) -> str:
        return f"{self.problem}: {self.mend}"


def needs(config: Config) -> int:
    """The need: one for each client; one more for its relay, which private queues, access rules and
    (where topics pass through) all subscriptions need; and those that are kept."""
    limits = config.limits
    each = 2 if config.fanout == "passthrough" or config.access else 1
    return limits.connections * each + _KEPT + _KEPT_A_NODE * len(config.broker.nodes)


def lowest_free() -> int | None:
    """The number that the next descriptor will have; None: there is none left."""
    try:
        probe = os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return None
    os.close(probe)
    return probe
