"""Log entries become typed columns, each counted once. Pure."""
