"""The processes that are disturbed, and what they work on.

model         the models that are monitored, and their events
served        the models that predict, one of which can hang
store         what the Redis of the plant is to everybody else
process       a process that can be killed, stopped and started again
progress      how far counting and judging have come
plant         all of them together
quiet_worker  a worker that adds nothing to the log
"""
