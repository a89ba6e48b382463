"""An event loop whose clock jumps to the next timer whenever every task waits."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Seconds cost nothing here, and the order of events is always the same."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += seconds


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("every task waits, and nothing will ever happen")
        self._loop.jump(timeout)
        return super().select(0)


def run(
    main: Coroutine[Any, Any, _T], *, loop: Callable[[], VirtualTimeLoop] = VirtualTimeLoop
) -> _T:
    """As :func:`asyncio.run`; fails for an exception that no task would hear of."""
    complaints: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: complaints.append(context))
        result = runner.run(main)
    assert not complaints, complaints
    return result


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(50):
        await asyncio.sleep(0)
