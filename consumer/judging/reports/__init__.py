"""What a snapshot shows of a column: how it stands, and its numbers, which are computed of many
windows at once. Pure.
"""
