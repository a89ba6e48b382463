"""Floods: what one bad client can do, each beside a room that behaves well and is measured."""
