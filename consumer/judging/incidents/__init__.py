"""Incidents: alerts of one fault told as one, with its cause, since when, and what to do. Pure."""
