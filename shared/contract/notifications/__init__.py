"""What worker and API tell each other of the routes of notifications."""
