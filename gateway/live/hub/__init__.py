"""The hub: topics, read from the feeds once and delivered to all their subscribers."""
