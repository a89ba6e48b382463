"""Live connections, which ``/ws`` opens."""
