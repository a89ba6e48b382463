"""What an application reports whose library's driver ends under it."""

from typing import cast

from conformance_suite.faults import _Worker
from conformance_suite.libraries import Library
from devenv.broker_users import User
from devenv.errors import SetupError


class Gone:
    """A library whose driver has ended."""

    name = "gone"

    def connection(self) -> "Gone":
        return self

    def do(self, verb: str, given: object) -> None:
        raise SetupError("the driver of gone has ended")

    def event(self, timeout: float) -> None:
        return None


def test_a_driver_that_ends_makes_the_outcome_a_failure() -> None:
    """In the worker's thread nobody else would hear of it, and what is missing would be no loss."""
    worker = _Worker(cast("Library", Gone()), ["ws://nowhere"], User("who", "x"), "/amq/queue/q")
    worker._connection = Gone()  # type: ignore[assignment]
    worker._ready = True
    worker.work()
    assert worker.outcome.failure == "the driver of gone has ended"
    assert worker.warm.is_set(), "the other one is not kept waiting for it"
