"""The reference: schema, profile, cells, segments, calibration, personal fields. Pure."""
