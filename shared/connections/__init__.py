"""The ways to Redis, to its streams and to the API."""
