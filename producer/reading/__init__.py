"""Reading of Redis and the registry, for routes and pages."""
