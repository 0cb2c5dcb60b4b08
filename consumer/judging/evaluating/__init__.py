"""Evaluation of a window: statistics, thresholds and readings for the rules. Pure."""
