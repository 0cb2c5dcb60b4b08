"""A deployment on one machine: a private Redis and processes."""
