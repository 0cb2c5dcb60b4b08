"""Judging turns panes and alarms into decisions: alerts and snapshots. Pure: entries and state in, state and outputs out.

Theory of operation: `window` sums the latest panes of a version, `statistics` compare the sum with the reference,
`calibration` turns the false-alarm budget into significance levels, `evaluation` and `rules` say what is bad, `lifecycle`
moves each alert through its life, with `inhibition` saying which explains which; `actions` says what to do, `notices` writes
the transitions of a moment, `reporting` takes the snapshots. `alerting` and `advance` put these together; they alone change
the state.
"""
