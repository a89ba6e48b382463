"""The modules that are changed, and the tests that must notice."""

from __future__ import annotations

from typing import Final

_PROTOCOL: Final = "tests/unit/broker/protocol"
_MANAGEMENT: Final = "tests/unit/broker/management"
_NODES: Final = "tests/unit/broker/nodes"
_PUBLISHING: Final = "tests/unit/broker/publishing"
_TIMING: Final = "tests/unit/broker/timing"
_AUTH: Final = "tests/unit/auth"
_CLUSTER: Final = "tests/unit/cluster"
_CLIENT: Final = "tests/unit/live/client"
_RELAY: Final = "tests/unit/live/relay"
_HUB: Final = "tests/unit/live/hub"

#: By the module's path: the tests, the quickest first.
MODULES: Final[dict[str, tuple[str, ...]]] = {
    "broker/protocol/amqp.py": (f"{_PROTOCOL}/test_amqp.py",),
    "broker/protocol/amqp_answers.py": (f"{_PROTOCOL}/test_amqp_answers.py",),
    "broker/protocol/amqp_deliveries.py": (f"{_PROTOCOL}/test_amqp_deliveries.py",),
    "broker/protocol/amqp_methods.py": (f"{_PROTOCOL}/test_amqp_methods.py",),
    "broker/protocol/amqp_properties.py": (f"{_PROTOCOL}/test_amqp_properties.py",),
    "broker/protocol/heartbeat.py": (f"{_PROTOCOL}/test_heartbeat.py",),
    "broker/protocol/numerals.py": (f"{_PROTOCOL}/test_numerals.py",),
    "broker/protocol/stomp.py": (f"{_PROTOCOL}/test_stomp.py",),
    "broker/protocol/websocket.py": (f"{_PROTOCOL}/test_websocket.py",),
    "broker/feeds/bindings.py": ("tests/unit/broker/feeds/test_bindings.py",),
    "broker/feeds/pauses.py": ("tests/unit/broker/feeds/test_pauses.py",),
    "broker/feeds/topic_table.py": ("tests/unit/broker/feeds/test_topic_table.py",),
    "broker/nodes/node.py": (f"{_NODES}/test_node.py", f"{_NODES}/test_balancer.py"),
    "broker/nodes/balancer.py": (f"{_NODES}/test_balancer.py",),
    "broker/nodes/rendezvous.py": (f"{_NODES}/test_rendezvous.py",),
    "broker/management/policies.py": (f"{_MANAGEMENT}/test_policies.py",),
    "broker/management/versions.py": (f"{_MANAGEMENT}/test_versions.py",),
    "broker/health/partition.py": ("tests/unit/broker/health/test_partition.py",),
    "broker/publishing/links.py": (
        f"{_PUBLISHING}/test_links_seen.py",
        f"{_PUBLISHING}/test_links.py",
        f"{_PUBLISHING}/test_publisher.py",
        f"{_PUBLISHING}/test_refusing.py",
    ),
    "broker/publishing/liveness.py": (f"{_PUBLISHING}/test_liveness.py",),
    "broker/publishing/suspects.py": (
        f"{_PUBLISHING}/test_stream.py",
        f"{_PUBLISHING}/test_refusing.py",
    ),
    "broker/timing/backoff.py": (f"{_TIMING}/test_backoff.py",),
    "broker/timing/complaints.py": (f"{_TIMING}/test_complaints.py",),
    "gateway/auth/ended.py": (f"{_AUTH}/test_ended.py",),
    "gateway/auth/guesses.py": (f"{_AUTH}/test_guesses.py",),
    "gateway/auth/outsiders.py": (f"{_AUTH}/test_outsiders.py",),
    "gateway/auth/patterns.py": (
        f"{_AUTH}/test_patterns.py",
        f"{_AUTH}/test_permissions.py",
        f"{_AUTH}/test_outsiders.py",
    ),
    "gateway/auth/permissions.py": (f"{_AUTH}/test_permissions.py",),
    "gateway/cluster/peers.py": (f"{_CLUSTER}/test_peers.py",),
    "gateway/cluster/presence_table.py": (f"{_CLUSTER}/test_presence_table.py",),
    "gateway/cluster/replica.py": (f"{_CLUSTER}/test_replica.py",),
    "gateway/domain/class_code.py": ("tests/unit/domain/test_class_code.py",),
    "gateway/domain/kept.py": ("tests/unit/domain/test_kept.py",),
    "gateway/domain/order.py": ("tests/unit/domain/test_order.py",),
    "gateway/domain/roster.py": ("tests/unit/domain/test_roster.py",),
    "gateway/expiring.py": ("tests/unit/test_expiring.py",),
    "gateway/live/client/allowance.py": (f"{_CLIENT}/test_allowance.py",),
    "gateway/live/client/judge.py": (f"{_CLIENT}/test_judge.py",),
    "gateway/live/client/requests.py": (f"{_CLIENT}/test_requests.py",),
    "gateway/live/client/session.py": (f"{_CLIENT}/test_session.py",),
    "gateway/live/event_stream.py": ("tests/unit/live/test_event_stream.py",),
    "gateway/live/hub/deduplicator.py": (f"{_HUB}/test_deduplicator.py",),
    "gateway/live/hub/recent.py": (f"{_HUB}/test_recent.py",),
    "gateway/live/hub/sequencer.py": (f"{_HUB}/test_sequencer.py",),
    "gateway/live/relay/acknowledgements.py": (f"{_RELAY}/test_acknowledgements.py",),
    "gateway/live/relay/doubt.py": (f"{_RELAY}/test_doubt.py",),
    "gateway/live/relay/familiar.py": (f"{_RELAY}/test_familiar.py",),
    "gateway/live/relay/kept_queues.py": (f"{_RELAY}/test_kept_queues.py",),
    "gateway/live/relay/moves.py": (f"{_RELAY}/test_moves.py",),
    "gateway/live/relay/oversized.py": (f"{_RELAY}/test_oversized.py",),
    "gateway/live/relay/pace.py": (f"{_RELAY}/test_pace.py",),
    "gateway/live/relay/properties.py": (f"{_RELAY}/test_properties.py",),
    "gateway/live/relay/refusals.py": (f"{_RELAY}/test_refusals.py",),
    "gateway/live/relay/state.py": (f"{_RELAY}/test_state.py",),
    "gateway/live/relay/uplink_states.py": (f"{_RELAY}/test_uplink_states.py",),
    "gateway/messages/keeping.py": ("tests/unit/messages/test_keeping.py",),
    "gateway/messages/lane.py": ("tests/unit/messages/test_lane.py",),
    "gateway/messages/nesting.py": ("tests/unit/messages/test_nesting.py",),
    "gateway/fair_turns.py": ("tests/unit/test_fair_turns.py", "tests/unit/messages/test_turns.py"),
    "gateway/messages/turns.py": ("tests/unit/messages/test_turns.py",),
    "gateway/queues/progress.py": ("tests/unit/queues/test_progress.py",),
    "gateway/reports/csv_text.py": ("tests/unit/reports/test_csv_text.py",),
    "gateway/stopwatch.py": ("tests/unit/test_stopwatch.py",),
    "gateway/store/approving.py": ("tests/unit/store/test_store_approving.py",),
    "gateway/store/keys.py": ("tests/unit/store/test_store_keys.py",),
    "gateway/store/pace.py": ("tests/unit/store/test_store_pace.py",),
    "gateway/budget/cap.py": ("tests/unit/budget/test_cap.py",),
    "gateway/budget/rate.py": ("tests/unit/budget/test_rate.py",),
}
