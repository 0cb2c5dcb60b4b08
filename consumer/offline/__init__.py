"""Work without a stream: registration, comparison, calibration and backtests."""
