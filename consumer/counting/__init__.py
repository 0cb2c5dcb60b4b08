"""Counting turns the log into panes. Pure: entries and state in, state and outputs out.

Theory of operation: `columns` reads a batch of log entries into typed arrays, `sequences` drops
what was counted before, `clock` gives each event its logical time, `cells` maps values to cells of
the reference, `pane` sums them up, `detection` shows each value's cell and rank to the `detectors`.
`advance` puts these together; it is the only thing that changes the state.
"""
