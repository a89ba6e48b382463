"""The gateway's knowledge of itself: the state of everything that it depends on."""
