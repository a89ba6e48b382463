"""The command ``gateway``: its arguments, its commands, the doctor."""
