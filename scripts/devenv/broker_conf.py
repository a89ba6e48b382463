"""rabbitmq.conf as data: the production file, with a private node's settings put over it."""

from collections.abc import Mapping


def parse(text: str) -> dict[str, str]:
    """The keys and values of a rabbitmq.conf (https://www.rabbitmq.com/docs/configure)."""
    settings = {}
    for line in text.splitlines():
        content = line.partition("#")[0].strip()
        if content:
            key, _, value = content.partition("=")
            settings[key.strip()] = value.strip()
    return settings


def render(settings: Mapping[str, str]) -> str:
    """The inverse of `parse`."""
    return "".join(f"{key} = {value}\n" for key, value in settings.items())


def private(
    production: Mapping[str, str],
    settings: Mapping[str, str],
    *,
    peers: list[str],
) -> dict[str, str]:
    """A private node's settings: `production`, overridden by `settings`, with `peers` as nodes.

    A peer that is named twice is listed once: RabbitMQ 4.3 does not boot with it twice.
    """
    nodes = "cluster_formation.classic_config.nodes."
    kept = {key: value for key, value in production.items() if not key.startswith(nodes)}
    listed = {f"{nodes}{number}": peer for number, peer in enumerate(dict.fromkeys(peers), start=1)}
    return kept | dict(settings) | listed
