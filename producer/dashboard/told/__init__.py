"""Pages of what people are told: incidents, and the routes of notifications."""
