"""How cost grows with size: `scripts/bench --sizes`."""
