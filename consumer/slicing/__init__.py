"""Slices of an archive: the rows that a condition chooses, held against the others or against the
version's reference, and the search for the worst ones.
"""
