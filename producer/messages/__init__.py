"""Every message that Driftgauge writes or reads beside its HTTP routes, made of the structs that
are written: JSON Schemas, and an AsyncAPI document of the streams.
"""
