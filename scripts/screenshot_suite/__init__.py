"""`scripts/screenshots`: pictures of every page, from a room in which something happens."""
