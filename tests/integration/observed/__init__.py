"""What others get to see: traces, metrics, messages as they are written."""
