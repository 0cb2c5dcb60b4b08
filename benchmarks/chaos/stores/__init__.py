"""The Redis of a plant, real servers each: one, one behind Sentinels, or a cluster.

alone    one server that a replica can follow, at an address or behind Sentinels
cluster  masters with a replica each; node is one of them, reading looks into all of them
"""
