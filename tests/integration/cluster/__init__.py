"""A Redis Cluster of three masters and their replicas, which the tests share."""
