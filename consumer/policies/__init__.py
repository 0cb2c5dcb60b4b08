"""The policy file in a worker: read again when it changes, agreed on among the workers by way of
Redis, and handed to the stages that go by it.
"""
