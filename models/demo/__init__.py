"""The demo on one machine: `up`, `demo`, and the retraining that it shows."""
