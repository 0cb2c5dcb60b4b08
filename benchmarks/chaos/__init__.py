"""Faults at random instants of real processes, and the proof that nothing was lost without a word,
doubled or judged otherwise, and that all is well again by itself.

plant     the processes: a private Redis, two APIs, two workers, and the models that they work on
traffic   clients that post events and ask for predictions, and remember what they were promised
faults    the table of faults: what happens, what is lost, and what has to be said of it
injector  when faults come, by a seed
record    what stood in the logs, whatever Redis forgot since
witness   what the APIs said, and when
told      whether people were told of what was lost
oracle    what the counts must be, computed from the log by code that counting does not use
verdict   the log, the counts and the alerts against promises, oracle and an undisturbed run
trial     all of it, once
"""
