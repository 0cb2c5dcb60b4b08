"""Judging turns panes and alarms into decisions: alerts and snapshots. Pure: entries and state in, state and outputs out.

Theory of operation: `window` sums the latest panes of a version, `statistics` compare the sum with the reference,
`calibration` turns the false-alarm budget into significance levels, `decision` says what is bad, `lifecycle` moves each
alert through its life. `advance` puts these together; it is the only thing that changes the state.
"""
