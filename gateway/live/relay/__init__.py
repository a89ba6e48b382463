"""A client's uplink: its own connection to a node, replaced when the node is lost."""
