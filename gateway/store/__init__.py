"""History, rooms, members and accounts in SQLite or PostgreSQL."""

from gateway.store.records import Account, Appended, Page
from gateway.store.store import Store

__all__ = ["Account", "Appended", "Page", "Store"]
