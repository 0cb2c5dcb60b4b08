"""Policies that change while workers run."""
