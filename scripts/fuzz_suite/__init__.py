"""Fuzzing of everything that reads bytes from others: one property for each target, any bytes."""
