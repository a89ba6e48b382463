"""File descriptors: how many the process may have, needs, and keeps for what must always work."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from typing import Final, Self

from gateway.config import Config

#: Kept for probes, the database, RabbitMQ and files, whoever comes; a few more for each node.
_KEPT: Final = 64
_KEPT_A_NODE: Final = 8
#: Of a limit that is far too small, no more than this part is kept.
_PART: Final = 4


@dataclass(frozen=True, slots=True)
class Descriptors:
    """``limit`` of the process; ``kept`` of them are not for clients."""

    limit: int
    kept: int

    @classmethod
    def raised(cls, config: Config) -> Self:
        """The limit, after it has been raised as far as the system allows (RLIMIT_NOFILE)."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return cls.of(config, limit=hard)

    @classmethod
    def found(cls, config: Config) -> Self:
        """As :meth:`raised` would give; nothing is changed."""
        return cls.of(config, limit=resource.getrlimit(resource.RLIMIT_NOFILE)[1])

    @classmethod
    def of(cls, config: Config, *, limit: int) -> Self:
        kept = _KEPT + _KEPT_A_NODE * len(config.broker.nodes)
        return cls(limit, min(kept, limit // _PART))

    @property
    def for_clients(self) -> int:
        """Descriptors from this number on are kept: the system always gives the lowest free one,
        so whoever is given it knows that all below are in use."""
        return self.limit - self.kept

    def shortage(self, config: Config) -> str | None:
        """What is missing for ``limits.connections``, and what would be right; None: nothing."""
        needed = needs(config)
        if self.limit >= needed:
            return None
        return (
            f"the system allows this process {self.limit} open files, but limits.connections ="
            f" {config.limits.connections} needs {needed}: raise the limit (systemd: LimitNOFILE=;"
            " docker: --ulimit nofile=; a shell: ulimit -Hn), or lower limits.connections"
        )


def needs(config: Config) -> int:
    """One for each client; one more for its relay, which a private queue and an access rule need,
    and every subscription where topics pass through; and what is kept."""
    limits = config.limits
    each = 2 if config.fanout == "passthrough" or config.access else 1
    return limits.connections * each + _KEPT + _KEPT_A_NODE * len(config.broker.nodes)


def lowest_free(descriptor: int) -> int | None:
    """The number that the next descriptor will have; None: there is none left."""
    try:
        probe = os.dup(descriptor)
    except OSError:
        return None
    os.close(probe)
    return probe
