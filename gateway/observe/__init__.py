"""Logs, events, metrics and histograms."""
