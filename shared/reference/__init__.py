"""What live data are held against: schema, reference profile, segments, calibration. Pure."""
