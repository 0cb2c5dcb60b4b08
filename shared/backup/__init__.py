"""A backup: all that a deployment keeps in Redis and in its registry folder, as one file, and back.

Values are stored by their kinds, not as a server's own dump, so a file of Redis 7 goes into
Valkey 9, and one of a single server into a cluster.
"""
