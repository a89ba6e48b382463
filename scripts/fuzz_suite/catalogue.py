"""The targets that `scripts/fuzz` knows. Only the standard library is imported: its --help shows
them before anything is installed."""

from typing import Final

#: Name → the module of `fuzz_suite.targets`, which has `check` and `SEEDS`.
TARGETS: Final = {
    "stomp": "stomp",
    "heart-beat": "heart_beat",
    "websocket": "websocket",
    "websocket-upstream": "websocket_upstream",
    "handshake": "handshake",
    "amqp-answers": "amqp_answers",
    "amqp-deliveries": "amqp_deliveries",
    "amqp-methods": "amqp_methods",
    "amqp-properties": "amqp_properties",
    "numerals": "numerals",
    "json": "json_bodies",
    "tokens": "tokens",
    "sessions": "sessions",
    "patterns": "patterns",
    "destinations": "destinations",
    "database-url": "database_url",
    "config": "configuration",
    "class-codes": "class_codes",
    "rosters": "rosters",
    "event-streams": "event_streams",
    "csv": "csv_cells",
}
