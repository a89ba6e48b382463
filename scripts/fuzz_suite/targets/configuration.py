"""The configuration file: read, or refused with the places of its faults."""

from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.config import ConfigError, load

_EXAMPLE = Path(__file__).parents[3] / "conf" / "gateway.toml"

SEEDS = (
    _EXAMPLE.read_bytes(),
    b'[broker]\npassword = "p"\n[[broker.nodes]]\nname = "r1"\nweb_stomp = "ws://h/ws"\n'
    b'amqp = "amqp://h"\n[auth]\nsecret = "a secret that is long enough to sign with"\n',
    b"a = [[[[[[[[[[]]]]]]]]]]\n",
)


def check(data: bytes) -> None:
    """No error but a `ConfigError`."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "gateway.toml"
        file.write_bytes(data)
        try:
            load(file)
        except ConfigError:
            return
