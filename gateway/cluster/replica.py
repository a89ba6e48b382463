"""Replication of a gateway's claims ("this user is here, in this room") to the others. Pure.

Only the gateway itself changes its claims, and it numbers the changes. A gateway that missed some
notices it by the numbers and asks for everything. So changes may be lost, repeated and reordered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from gateway.domain.room import MemberRole

#: Claims in one message; even with the longest names they stay far below the bus's limit.
BATCH: Final = 100
#: Changes that came early and wait for those before them; with more it is quicker to ask.
_EARLY: Final = 64

#: A room and a user.
Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """A user's presence in a room. ``since``: Unix time, seconds. ``name``: what is shown beside
    the user's name, where the user's own login or token says it."""

    since: float
    role: MemberRole
    name: str | None = None

    def as_json(self) -> list[Any]:
        """The claim as a list. A gateway of an earlier version reads its first two."""
        return [self.since, self.role, *(() if self.name is None else (self.name,))]

    @classmethod
    def from_json(cls, listed: list[Any]) -> Claim:
        since, role, *name = listed
        return cls(since, MemberRole(role), *name[:1])


#: The changed claims; None: withdrawn.
Changes = Mapping[Key, Claim | None]
Put = Callable[[Key, Claim | None], object]


@dataclass(frozen=True, slots=True)
class Delta:
    """The changes that lead from version ``base`` to ``version``. If both are the same there are
    none, and it only announces the gateway's position."""

    base: int
    version: int
    changes: Changes

    def as_json(self) -> dict[str, Any]:
        return {"base": self.base, "version": self.version, "changes": _listed(self.changes)}

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Delta:
        return cls(json["base"], json["version"], _changes(json["changes"]))


@dataclass(frozen=True, slots=True)
class Part:
    """One of the ``count`` parts of all claims of a version."""

    version: int
    number: int
    count: int
    claims: Changes

    def as_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "number": self.number,
            "count": self.count,
            "claims": _listed(self.claims),
        }

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Part:
        return cls(json["version"], json["number"], json["count"], _changes(json["claims"]))


class Origin:
    """This gateway's claims, and the deltas that replicate them."""

    def __init__(self) -> None:
        self.claims: dict[Key, Claim] = {}
        self._version = 0
        self._changed: dict[Key, Claim | None] = {}

    def put(self, key: Key, claim: Claim | None) -> None:
        self._changed[key] = claim
        if claim is None:
            self.claims.pop(key, None)
        else:
            self.claims[key] = claim

    def deltas(self) -> Iterator[Delta]:
        """The changes since the last call."""
        changed, self._changed = self._changed, {}
        for changes in _batches(changed):
            self._version += 1
            yield Delta(self._version - 1, self._version, changes)

    def position(self) -> Delta:
        """This gateway's position, for others that missed the last change."""
        return Delta(self._version, self._version, {})

    def parts(self) -> list[Part]:
        """All claims. Changes since the last :meth:`deltas` will come again with the next ones."""
        batches = list(_batches(self.claims)) or [{}]
        return [
            Part(self._version, number, len(batches), claims)
            for number, claims in enumerate(batches)
        ]


class Replica:
    """Another gateway's claims, as far as they were heard. ``put`` is called with each change."""

    def __init__(self, put: Put) -> None:
        self._put = put
        self._claims: dict[Key, Claim] = {}
        self._version = 0
        self._newest = 0
        self._early: dict[int, Delta] = {}
        self._parts: dict[int, Part] = {}

    @property
    def behind(self) -> bool:
        """Whether changes were missed, so that everything must be asked for."""
        return self._version < self._newest

    def take(self, delta: Delta) -> None:
        self._newest = max(self._newest, delta.version)
        if delta.base < self._version or delta.base == delta.version:
            return
        if delta.base == self._version or len(self._early) < _EARLY:
            self._early[delta.base] = delta
        self._catch_up()

    def take_part(self, part: Part) -> None:
        self._newest = max(self._newest, part.version)
        if part.version <= self._version:
            return
        if any(each.version != part.version for each in self._parts.values()):
            self._parts = {}
        self._parts[part.number] = part
        if len(self._parts) == part.count:
            claims = {key: claim for p in self._parts.values() for key, claim in p.claims.items()}
            for key in self._claims.keys() - claims.keys():
                self._change(key, None)
            for key, claim in claims.items():
                self._change(key, claim)
            self._version, self._parts = part.version, {}
            self._early = {base: d for base, d in self._early.items() if base >= self._version}
            self._catch_up()

    def _catch_up(self) -> None:
        while delta := self._early.pop(self._version, None):
            for key, claim in delta.changes.items():
                self._change(key, claim)
            self._version = delta.version

    def _change(self, key: Key, claim: Claim | None) -> None:
        if self._claims.get(key) != claim:
            if claim is None:
                del self._claims[key]
            else:
                self._claims[key] = claim
            self._put(key, claim)


def _batches(changes: Changes) -> Iterator[Changes]:
    rest = iter(changes.items())
    while batch := dict(islice(rest, BATCH)):
        yield batch


def _listed(changes: Changes) -> list[list[Any]]:
    return [
        [room, user, *(claim.as_json() if claim else [])] for (room, user), claim in changes.items()
    ]


def _changes(listed: list[list[Any]]) -> Changes:
    return {
        (room, user): Claim.from_json(claim) if claim else None for room, user, *claim in listed
    }
