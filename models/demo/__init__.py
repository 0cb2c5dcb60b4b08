"""Demos on one machine: `driftgauge up`, `demo` and `demo-retrain`."""
