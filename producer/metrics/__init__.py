"""The API's metrics: its own, the pipeline's as it stands in Redis, and what judging found."""
