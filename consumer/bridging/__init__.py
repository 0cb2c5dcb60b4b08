"""Bridges from other logs: what they hold is written to ours, each message once."""
