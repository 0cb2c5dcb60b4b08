"""Redis, API and worker, each a process of its own, under load from outside."""
