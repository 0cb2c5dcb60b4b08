"""Drift and performance within a segment, and the segments that explain a change. Pure."""
