"""Applying a new configuration to a gateway that serves: checked as a whole, then applied or
refused.

A table of :data:`Change` says what may change while serving; every other key needs a restart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping

from pydantic import BaseModel

from gateway.config import Config, ConfigError

logger = logging.getLogger(__name__)

PutInForce = Callable[[], None]
#: A change reads its keys of a new configuration and the files they name, and returns a function
#: that applies them and cannot fail. Raises :class:`ConfigError`.
Change = Callable[[Config], PutInForce]


class Reload:
    """The reloading of the configuration. ``read`` returns the new one or raises
    :class:`ConfigError`. ``changes``: each with the keys that it reads."""

    def __init__(
        self,
        config: Config,
        *,
        read: Callable[[], Config],
        changes: Mapping[Change, Collection[str]],
    ) -> None:
        self._in_force = dict(_keys(config))
        self._read = read
        self._changes = tuple(changes)
        self._reloadable = frozenset(key for keys in changes.values() for key in keys)

    def __call__(self) -> None:
        """Read the configuration, and apply everything that can be changed, or nothing. The log has
        the result."""
        try:
            config = self._read()
            prepared = [change(config) for change in self._changes]
        except ConfigError as error:
            problem = " ".join(str(error).split())
            logger.error(
                "the new configuration is refused, and the old one stays in force: %s", problem
            )
            return
        # Files are read anew even if their keys are the same, so everything is applied.
        for put_in_force in prepared:
            put_in_force()
        changed = {key: value for key, value in _keys(config) if value != self._in_force[key]}
        taken = sorted(changed.keys() & self._reloadable)
        waiting = sorted(changed.keys() - self._reloadable)
        self._in_force.update((key, changed[key]) for key in taken)
        logger.info("reloaded: %s", ", ".join(taken) or "no key, perhaps files")
        if waiting:
            logger.warning("these keys have changed, but need a restart: %s", ", ".join(waiting))


def _keys(config: Config) -> Iterator[tuple[str, object]]:
    """``table.key`` and its value, or ``key`` for a key outside of tables."""
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            for key in type(value).model_fields:
                yield f"{name}.{key}", getattr(value, key)
        else:
            yield name, value
