"""The address for `scripts/run --lan`."""

import pytest

from devenv.errors import SetupError
from devenv.own_address import checked


def test_an_address_of_the_network_is_taken() -> None:
    assert checked("192.168.0.17") == "192.168.0.17"


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])  # noqa: S104
def test_one_that_nobody_else_can_reach_is_refused(address: str) -> None:
    with pytest.raises(SetupError, match="nobody else"):
        checked(address)
