"""Judging turns panes and alarms into decisions: alerts and snapshots. Pure: entries and state in,
state and outputs out.

Theory of operation: `window` sums the latest panes of a version, `statistics` compare the sum with
the reference, `calibration` turns the false-alarm budget into significance levels, `evaluation` and
`rules` say what is bad, `lifecycle` moves each alert through its life, with `inhibition` saying
which explains which; `actions` says what to do, `notices` writes the transitions of a moment,
`reporting` takes the snapshots. `alerting` and `advance` put these together; they alone change the
state.

Features that are ordered in time: `days` sums up a reference, `order` tests it, `replay_threshold`
and `shift` say what its weeks do; `week` keeps a version's whole days and `ordered` holds them
against the reference.
"""
