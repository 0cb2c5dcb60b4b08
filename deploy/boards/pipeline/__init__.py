"""The board of the monitor itself: whether it sees, what is lost, and what API and workers do."""
