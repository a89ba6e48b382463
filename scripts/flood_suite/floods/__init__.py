"""The floods. Each module has one: `flood` runs until it is cancelled, `prepare` comes before."""
