"""Stages: each reads entries, advances a pure state, and commits state, offset and outputs at
once.
"""
