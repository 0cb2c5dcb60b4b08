"""Notifications with real workers and a real Redis."""
