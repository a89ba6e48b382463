"""One driver for each client library: commands come as lines of JSON, what it hears goes so."""
