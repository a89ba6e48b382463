"""The requests by which load balancers ask whether a gateway lives and is ready."""

from __future__ import annotations

from typing import Final

_HEALTH: Final = "/healthz"
_READY: Final = "/readyz"


class Probes:
    """The probes of a listener whose paths begin with ``path``: they are answered without a place
    and without a turn.

    They are at the root, too, because load balancers ask the gateway itself; and ``OPTIONS /``,
    which HAProxy asks unless it is told otherwise, is one about readiness.
    """

    def __init__(self, path: str = "") -> None:
        befores = dict.fromkeys(("", path))
        self.health = [before + _HEALTH for before in befores]
        self.ready = [before + _READY for before in befores]
        self._all = frozenset({*self.health, *self.ready})
        #: The beginnings of their heads.
        self.heads = (
            *(f"{method} {each} ".encode() for method in ("GET", "HEAD") for each in self._all),
            b"OPTIONS / ",
        )

    def are(self, method: str, path: str) -> bool:
        """Whether such a request is one of them."""
        return path in self._all or (method, path) == ("OPTIONS", "/")
