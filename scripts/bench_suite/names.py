"""The names that `scripts/bench` knows. Only the standard library is imported: its --help shows
them before anything is installed."""

from typing import Final

#: What people put in front of RabbitMQ today, and RabbitMQ alone.
PEERS: Final = ("direct", "haproxy", "nginx", "apache")
GATEWAYS: Final = ("shared", "passthrough")
SYSTEMS: Final = (*PEERS, *GATEWAYS)
#: Measured unless others are asked for.
USUAL: Final = (
    *(
        "fanout",
        "foreign",
        "acknowledged",
        "rooms",
        "rooms-questions",
        "storm",
        "storm-many",
        "storm-relays",
        "first-frame",
        "idle",
        "relay",
        "post",
    ),
)
#: Those that break nodes.
OUTAGES: Final = ("node-kill", "node-stop", "node-hang")
SCENARIOS: Final = (*USUAL, *OUTAGES)
#: What `--sizes` measures at growing sizes.
SIZES: Final = ("history", "members", "clients", "rooms", "gateways", "storms")
