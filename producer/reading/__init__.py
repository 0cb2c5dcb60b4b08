"""What stands in Redis, read for routes and pages."""
