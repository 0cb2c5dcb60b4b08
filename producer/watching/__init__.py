"""The API watches itself and the pipeline: watchdog, metrics, live feed, access log."""
