"""Counting turns the log into panes. Pure: entries and state in, state and outputs out.

Theory of operation: `entries/columns` decodes a batch of log entries into typed arrays, `dedupe`
drops events that were counted before, `clock` gives each event its logical time, `panes/cells` maps
values to cells of the reference, `panes/open_pane` sums them up, `detection` passes each value's
cell and rank to the `detectors`. `advance` puts these together; only it changes the state.
"""
