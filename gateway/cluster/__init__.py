"""The gateways among themselves: bus, presence, revocation, hints."""
