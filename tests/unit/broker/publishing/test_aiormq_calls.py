"""aiormq ends its waiters as if they were cancelled; only a real cancellation may end so."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiormq
import pytest

import broker
from broker import publishing
from broker.publishing.channels import AMQP_ERRORS, AiormqCalls, BrokenOff

#: The only modules that hold aiormq's connections and channels.
SEAM = {"channels", "link", "parked", "provision"}


async def wait_for_what_is_broken_off() -> None:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.cancel)
    with AiormqCalls():
        await future


def test_the_end_of_a_connection_is_an_error_and_ends_no_task() -> None:
    async def scenario() -> None:
        with pytest.raises(AMQP_ERRORS, match="the connection was closed"):
            await wait_for_what_is_broken_off()

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", [Exception(), KeyError("x"), ValueError("y"), EOFError()])
def test_so_is_whatever_its_reader_stumbled_over(fault: Exception) -> None:
    async def scenario() -> None:
        with pytest.raises(BrokenOff) as caught, AiormqCalls():
            raise fault
        assert caught.value.__cause__ is fault
        assert str(caught.value)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "error", [aiormq.AMQPError("refused"), OSError("gone"), RuntimeError("closed")]
)
def test_errors_of_its_own_pass_as_they_are(error: Exception) -> None:
    async def scenario() -> None:
        with pytest.raises(type(error)) as caught, AiormqCalls():
            raise error
        assert caught.value is error

    asyncio.run(scenario())


def test_a_real_cancellation_passes() -> None:
    async def ask() -> None:
        with AiormqCalls():
            await asyncio.Event().wait()

    async def scenario() -> None:
        asking = asyncio.create_task(ask())
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})
        assert asking.cancelled()

    asyncio.run(scenario())


def as_an_error() -> None:
    raise aiormq.ChannelInvalidStateError("closed")


def as_nothing() -> None:
    return


@pytest.mark.parametrize("told", [as_an_error, as_nothing])
def test_a_real_cancellation_passes_whatever_is_made_of_it(told: Callable[[], None]) -> None:
    """aiormq ends a call with the channel's error if that comes at the same moment. A loop went on
    after it, though its gateway was closing."""

    async def ask() -> None:
        with AiormqCalls():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told()

    async def loop() -> None:
        while True:
            try:
                await ask()
            except aiormq.AMQPError:
                continue

    async def scenario() -> None:
        asking = asyncio.create_task(loop())
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking}, timeout=5)
        assert asking.cancelled()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await ask()
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()

    asyncio.run(scenario())


async def wait_with_a_deadline_inside() -> None:
    with AiormqCalls():
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()


async def wait_with_a_deadline_outside() -> None:
    async with asyncio.timeout(0.01):
        with AiormqCalls():
            await asyncio.Event().wait()


@pytest.mark.parametrize("wait", [wait_with_a_deadline_inside, wait_with_a_deadline_outside])
def test_a_deadline_ends_as_a_deadline(wait: Callable[[], Awaitable[None]]) -> None:
    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await wait()
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()

    asyncio.run(scenario())


def test_a_task_that_is_being_cancelled_can_still_tidy_up() -> None:
    tidied = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await wait_for_what_is_broken_off()
            except BrokenOff:
                tidied.append(True)

    async def scenario() -> None:
        working = asyncio.create_task(work())
        await asyncio.sleep(0)
        working.cancel()
        await asyncio.wait({working})
        assert working.cancelled()

    asyncio.run(scenario())
    assert tidied == [True]


def _awaits(tree: ast.AST, guarded: bool = False) -> list[tuple[ast.Await, bool]]:
    found: list[tuple[ast.Await, bool]] = []
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Await):
            found.append((child, guarded))
        inside = isinstance(child, ast.With) and "AiormqCalls" in ast.unparse(child.items[0])
        found += _awaits(child, guarded or inside)
    return found


@pytest.mark.parametrize("module", sorted(SEAM))
def test_every_await_on_aiormq_is_guarded(module: str) -> None:
    source = Path(publishing.__file__).with_name(f"{module}.py")
    tree = ast.parse(source.read_text(encoding="utf-8"))
    starts = ("self._connection.", "self._channel.", "connection.", "confirmation")
    on_aiormq = [
        (ast.unparse(each.value), guarded)
        for each, guarded in _awaits(tree)
        if ast.unparse(each.value).startswith(starts)
    ]
    assert on_aiormq
    assert [what for what, guarded in on_aiormq if not guarded] == []


def test_no_other_module_holds_an_object_of_aiormq() -> None:
    """Others know its exceptions and nothing more, so they cannot await it."""
    for path in Path(broker.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path.stem in SEAM:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiormq"):
                assert node.module == "aiormq.exceptions", path
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "aiormq"
            ):
                assert issubclass(getattr(aiormq, node.attr), Exception), (path, node.attr)


@pytest.mark.parametrize(
    "error", [None, aiormq.AMQPError("closed"), OSError("gone"), KeyError("x")]
)
def test_a_cancellation_that_aiormq_swallows_or_turns_into_an_error_is_one_all_the_same(
    error: Exception | None,
) -> None:
    async def ask() -> None:
        with AiormqCalls():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                # As its close() does, or when the channel of a cancelled call cannot be closed.
                if error is not None:
                    raise error from None

    async def scenario() -> None:
        asking = asyncio.create_task(ask())
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})
        assert asking.cancelled()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await ask()

    asyncio.run(scenario())
