"""Every published figure, as a command: each prints a table, writes JSON, and measures its
yardstick in the same run.
"""
