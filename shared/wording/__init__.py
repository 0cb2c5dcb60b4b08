"""Wording of names, numbers, times and untrusted text, the same wherever people read them. Pure."""
