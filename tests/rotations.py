"""Rotations for tests of what reads from sockets."""

import time
from typing import TypedDict

from gateway.poller import Poller
from gateway.rotation import Rotation, Share


class InRotation(TypedDict):
    """Arguments of a transport, and of what makes one."""

    poller: Poller
    rotation: Rotation
    share: Share


def rotation() -> Rotation:
    """A rotation by the real clock."""
    return Rotation(clock=time.monotonic)


def in_rotation(poller: Poller | None = None) -> InRotation:
    """A share of a rotation that nobody else has part in."""
    return {"poller": poller or Poller(), "rotation": rotation(), "share": Share()}
