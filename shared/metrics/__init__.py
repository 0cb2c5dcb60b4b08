"""What Prometheus reads: how a metric is described, and the text that is made of its samples."""
