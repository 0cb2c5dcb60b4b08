"""The worker: events in, alerts and reports out."""
