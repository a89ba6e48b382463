"""The keys of messages: how a message is kept as the room's state, and who may write what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.domain.kept import KeyPatterns, key
from gateway.domain.message import Draft, Importance
from gateway.domain.room import MemberRole
from gateway.domain.user_name import user_name
from gateway.errors import Invalid, KeyRefused


@dataclass(frozen=True, slots=True)
class Keeping:
    """The wish to keep a message: under the key ``keep``, as the entry ``of`` a user, stored
    ``only_while`` something stands under another key. None: it does not say."""

    keep: str | None = None
    of: str | None = None
    only_while: str | None = None


#: A message that says nothing of the room's state.
NOT_KEPT: Final = Keeping()


def check(
    draft: Draft, importance: Importance, role: MemberRole | None, participant_keys: KeyPatterns
) -> str | None:
    """Return if a sender of this role may send the draft with its keys. ``participant_keys``: those
    that others than hosts may write, each for themselves. The result is the key that must stand
    for the draft to be stored, whether its sender has said so or not.

    Raises :class:`Invalid`, :class:`KeyRefused`.
    """
    if importance is Importance.INSTANT:
        raise Invalid("keep, of and while are for guaranteed messages; an instant one is not kept")
    _check_key("keep", draft.keep)
    _check_key("while", draft.only_while)
    if draft.of is not None:
        _check_of(draft.of)
    if draft.keep is None:
        if draft.of is not None:
            raise Invalid("of: says whose entry is written, and needs keep")
        return draft.only_while
    if role is MemberRole.HOST:
        return draft.only_while
    room = draft.stream.room
    if draft.of is not None:
        raise KeyRefused(f"only hosts of room {room} may write the entries of others, with of")
    if draft.keep not in participant_keys:
        raise KeyRefused(f"only hosts of room {room} may write the key {draft.keep!r}")
    condition = participant_keys.condition(draft.keep)
    # Anybody may clear what is theirs at any time.
    if condition is None or draft.body is None:
        return draft.only_while
    if draft.only_while not in (None, condition):
        raise KeyRefused(f"the key {draft.keep!r} is written while {condition!r} stands")
    _check_key("while", condition)
    return condition


def _check_key(name: str, given: str | None) -> None:
    if given is None:
        return
    try:
        key(given)
    except ValueError as error:
        raise Invalid(f"{name}: {error}") from None


def _check_of(user: str) -> None:
    try:
        form = user_name(user)
    except ValueError as error:
        raise Invalid(f"of: {error}") from None
    if form != user:
        raise Invalid(f"of: must be the user's name in its form: {form}")
