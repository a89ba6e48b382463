"""Time and background work: the clock, the ticker, tasks, back-off."""
