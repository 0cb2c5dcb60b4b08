"""Faults at random instants of real processes, and the proof that nothing was lost without a word,
doubled or judged otherwise, and that all is well again by itself.

stores    the Redis: one, one behind Sentinels, or a cluster
plant     the processes: two APIs, two workers, and the models that they work on
traffic   clients that post events and ask for predictions, and remember what they were promised
faults    the table of faults: what happens, what is lost, and what has to be said of it
injector  when faults come, by a seed
record    what stood in the logs, whatever Redis forgot since
witness   what the APIs said, and when
told      whether people were told of what was lost
oracle    what the counts must be, computed from the log by code that counting does not use
verdict   the figures of a run, and each promise that was not kept
counts    the counts of a partition against its log
alerts    panes, alerts and snapshots against an undisturbed run over the same log
judge     all of these, and the log against the promises
trial     all of it, once

archive_kills is another run, of the archive alone.
"""
