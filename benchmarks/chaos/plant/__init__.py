"""The processes that are disturbed, and what they work on.

model         the models that are monitored, and their events
served        the models that predict, one of which can hang
server        the Redis of the plant, which can be followed by a replica
power         power loss of Redis
process       a process that can be killed, stopped and started again
progress      how far counting and judging have come
plant         all of them together
quiet_worker  a worker that adds nothing to the log
"""
