"""The ways to Redis and to the API."""
