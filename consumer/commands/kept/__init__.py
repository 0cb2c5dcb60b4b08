"""The commands that read and keep the archive."""
