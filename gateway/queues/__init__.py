"""The rooms' private queues: that they stand, hold what they should, and are replaced if not."""
