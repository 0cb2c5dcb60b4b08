"""The demo model of obesity levels: features, simulator and training."""
