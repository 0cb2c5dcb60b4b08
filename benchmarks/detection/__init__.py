"""Detection: the measurements behind the alerts."""
