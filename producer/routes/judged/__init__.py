"""Routes of what judging says: alerts, incidents, drift, reports."""
