"""Identity, session, room and message, as plain data."""
