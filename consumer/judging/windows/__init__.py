"""Panes are merged and summed up to windows. Pure."""
