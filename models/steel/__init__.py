"""The demo model of a steel plant: features, simulator and training."""
