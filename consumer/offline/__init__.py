"""What needs no stream: registration, comparison, calibration and backtests."""
