"""A new configuration in a gateway that serves: checked as a whole, then put in force or refused.

What may change while serving is a table of :data:`Change`; every other key waits for a restart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping

from pydantic import BaseModel

from gateway.config import Config, ConfigError

logger = logging.getLogger(__name__)

PutInForce = Callable[[], None]
#: Reads its keys of a new configuration and the files they name; what it returns cannot fail.
#: Raises :class:`ConfigError`.
Change = Callable[[Config], PutInForce]


class Reload:
    """``read`` gives the new configuration or raises :class:`ConfigError`. ``changes``: each
    with the keys that it reads."""

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
        """Read, and put in force all that can be, or nothing. The log tells what came of it."""
        try:
            config = self._read()
            prepared = [change(config) for change in self._changes]
        except ConfigError as error:
            problem = " ".join(str(error).split())
            logger.error("the new configuration is refused, the old one stays: %s", problem)
            return
        # Files are read anew though their keys are the same, so everything is put in force.
        for put_in_force in prepared:
            put_in_force()
        changed = {key: value for key, value in _keys(config) if value != self._in_force[key]}
        taken = sorted(changed.keys() & self._reloadable)
        waiting = sorted(changed.keys() - self._reloadable)
        self._in_force.update((key, changed[key]) for key in taken)
        logger.info("reloaded: %s", ", ".join(taken) or "no key, perhaps files")
        if waiting:
            logger.warning("only a restart changes: %s", ", ".join(waiting))


def _keys(config: Config) -> Iterator[tuple[str, object]]:
    """``table.key`` and its value, or ``key`` for what stands in no table."""
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            for key in type(value).model_fields:
                yield f"{name}.{key}", getattr(value, key)
        else:
            yield name, value
