"""The HTTP side: listeners, routes, and what the handlers share."""
