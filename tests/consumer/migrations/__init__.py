"""Checkpoints of earlier formats."""
