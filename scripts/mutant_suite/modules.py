"""The modules that are changed, and the tests that must notice."""

from __future__ import annotations

from typing import Final

_PROTOCOL: Final = "tests/unit/broker/protocol"
_NODES: Final = "tests/unit/broker/nodes"
_CLIENT: Final = "tests/unit/live/client"
_RELAY: Final = "tests/unit/live/relay"
_HUB: Final = "tests/unit/live/hub"

#: By the module's path: the tests, the quickest first.
MODULES: Final[dict[str, tuple[str, ...]]] = {
    "broker/protocol/amqp.py": (f"{_PROTOCOL}/test_amqp.py",),
    "broker/protocol/amqp_deliveries.py": (f"{_PROTOCOL}/test_amqp_deliveries.py",),
    "broker/protocol/amqp_methods.py": (f"{_PROTOCOL}/test_amqp_methods.py",),
    "broker/protocol/amqp_properties.py": (f"{_PROTOCOL}/test_amqp_properties.py",),
    "broker/protocol/stomp.py": (f"{_PROTOCOL}/test_stomp.py",),
    "broker/protocol/websocket.py": (f"{_PROTOCOL}/test_websocket.py",),
    "broker/nodes/node.py": (f"{_NODES}/test_node.py", f"{_NODES}/test_balancer.py"),
    "broker/nodes/balancer.py": (f"{_NODES}/test_balancer.py",),
    "broker/nodes/rendezvous.py": (f"{_NODES}/test_rendezvous.py",),
    "broker/health/partition.py": ("tests/unit/broker/health/test_partition.py",),
    "broker/publishing/liveness.py": ("tests/unit/broker/publishing/test_liveness.py",),
    "gateway/auth/patterns.py": (
        "tests/unit/auth/test_patterns.py",
        "tests/unit/auth/test_permissions.py",
    ),
    "gateway/auth/permissions.py": ("tests/unit/auth/test_permissions.py",),
    "gateway/cluster/presence_table.py": ("tests/unit/cluster/test_presence_table.py",),
    "gateway/live/client/judge.py": (f"{_CLIENT}/test_judge.py",),
    "gateway/live/client/requests.py": (f"{_CLIENT}/test_requests.py",),
    "gateway/live/client/session.py": (f"{_CLIENT}/test_session.py",),
    "gateway/live/hub/deduplicator.py": (f"{_HUB}/test_deduplicator.py",),
    "gateway/live/hub/sequencer.py": (f"{_HUB}/test_sequencer.py",),
    "gateway/live/relay/acknowledgements.py": (f"{_RELAY}/test_acknowledgements.py",),
    "gateway/live/relay/state.py": (f"{_RELAY}/test_state.py",),
    "gateway/messages/lane.py": ("tests/unit/messages/test_lane.py",),
}
