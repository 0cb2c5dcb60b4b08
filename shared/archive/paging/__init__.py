"""The archive in pages, the newest predictions first, each with its label."""
