"""The handlers: one module per resource."""
