"""Tests of the stage of a route."""
