"""One client's connection, and the registry of all of them."""
