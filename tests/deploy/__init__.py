"""What is deployed beside Driftgauge: boards for Grafana, rules for Prometheus."""
