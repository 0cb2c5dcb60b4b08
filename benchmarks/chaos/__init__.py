"""Faults at random instants of real processes, and the proof that nothing was lost, doubled or
judged otherwise.

model     the models that are watched, and their events
plant     a private Redis, two APIs, two workers, and how each is killed, stopped and started again
traffic   clients that post events, and remember what they were promised
faults    the seeded injector
oracle    what the counts must be, computed from the log by code that counting does not use
verdict   the log, the counts and the alerts against promises, oracle and an undisturbed run
"""
