"""Alerts live: pending, firing, resolved; what explains what, and what to do. Pure."""
