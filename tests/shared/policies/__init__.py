"""Tests of the policy file as all see it."""
