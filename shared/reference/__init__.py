"""The reference that live data are compared with: schema, profile, segments, calibration. Pure."""
