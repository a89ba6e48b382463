"""Rotations for tests of what reads from sockets."""

import time
from typing import TypedDict

from gateway.rotation import Rotation, Share


class InRotation(TypedDict):
    """Arguments of a transport, and of what makes one."""

    rotation: Rotation
    share: Share


def rotation() -> Rotation:
    """A rotation by the real clock."""
    return Rotation(clock=time.monotonic)


def in_rotation() -> InRotation:
    """A share of a rotation that nobody else has part in."""
    return {"rotation": rotation(), "share": Share()}
