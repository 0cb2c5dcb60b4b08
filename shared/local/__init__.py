"""A deployment on one machine: a private Redis server, API and worker as processes."""
