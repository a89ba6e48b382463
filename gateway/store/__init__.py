"""History, rooms, members and accounts in SQLite or PostgreSQL."""

from gateway.store.records import Account, Appended, JsonPage, Page, Unpublished
from gateway.store.store import Store

__all__ = ["Account", "Appended", "JsonPage", "Page", "Store", "Unpublished"]
