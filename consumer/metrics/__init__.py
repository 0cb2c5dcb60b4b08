"""The worker's own metrics and health, and the port that tells them."""
