"""Erasing predictions from Redis: from the log, its dead letters, and what waits for labels."""
