"""The reference that live data are held against: schema, profile, segments, calibration. Pure."""
