"""Alembic's environment. A new migration is a new module in ``versions``, never a changed one."""
