"""A worker's second process: one counts, the other judges, reports and notifies."""
