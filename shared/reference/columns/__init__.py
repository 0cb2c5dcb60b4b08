"""What the columns of a table are: what was said of them, their cells, and what they
are taken as. Pure.
"""
