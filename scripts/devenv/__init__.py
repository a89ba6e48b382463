"""Sets up and runs the project on a bare machine: packages, broker cluster, database, gateway."""
