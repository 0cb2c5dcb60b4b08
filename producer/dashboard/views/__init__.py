"""Content of the pages, made from snapshots. Pure."""
