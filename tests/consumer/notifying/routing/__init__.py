"""Tests of what a route tells next."""
