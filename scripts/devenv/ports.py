"""Blocks of free TCP ports on loopback, below the range that Linux hands out by itself."""

import random
import socket

BLOCK = 100
_FIRST, _LAST = 20_000, 32_000


def is_free(port: int) -> bool:
    """Whether nothing listens on `port` of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_block(preferred: int | None = None) -> int:
    """The first port of a block of `BLOCK` free ones; `preferred` if that one is free."""
    bases = list(range(_FIRST, _LAST, BLOCK))
    # In random order, so that two sessions that start at the same time hardly meet.
    random.shuffle(bases)
    for base in bases if preferred is None else [preferred, *bases]:
        if all(is_free(port) for port in range(base, base + BLOCK)):
            return base
    raise OSError(f"no block of {BLOCK} free ports between {_FIRST} and {_LAST}")
