"""The demo model of credit-card default: features, simulator and training."""
