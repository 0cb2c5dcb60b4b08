"""Panes of all partitions are merged and summed to windows. Pure."""
