"""Authentication of users, and their permissions."""
