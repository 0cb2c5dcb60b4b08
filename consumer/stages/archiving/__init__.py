"""Archiving: the log of one partition goes to the archive, behind counting."""
