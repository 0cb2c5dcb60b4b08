"""What producer and consumer agree on: contracts, reference profiles, settings, the way to
Redis.
"""
