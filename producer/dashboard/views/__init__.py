"""What the pages show, put together from snapshots. Pure."""
