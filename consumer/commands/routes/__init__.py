"""The commands about the routes of notifications."""
